"""Routed experts that do not fit on the accelerator: kept in RAM, fetched when routed to.

Each MoE layer gets a list of experts in place of its ``nn.ModuleList``. A fixed number of
experts, over all layers, lies on the accelerator; the least recently used one makes room.
Copies go through a pinned staging buffer. While a layer runs, the next layer's router is
asked with the current hidden states which experts it will probably want, and those are
fetched ahead, on a stream of their own where the device has streams.

The cache knows nothing of the device but ``.to`` and ``copy_``, and is tested with the CPU
as the accelerator. On CUDA (an H100) it gave the logits of a model without it; since then copies
wait for each other across streams, which was not run there.
"""

from __future__ import annotations

import contextlib
import copy
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from deepseek_vl_v2.moe import MixtureOfExperts, Router

Key = tuple[int, int]  # layer, expert


@dataclass(slots=True)
class CacheCounts:
    """What the cache did: experts found there, fetched on demand, and fetched ahead."""

    hits: int = 0
    misses: int = 0
    prefetched: int = 0
    prefetched_used: int = 0


class ExpertsCache:
    """The most recently used experts of all layers, on one device.

    Args:
        device: where experts run.
        capacity: experts that lie there at once, at least 1.
        example: any expert; all have the same modules, shapes and dtypes.
    """

    def __init__(self, device: torch.device, capacity: int, example: nn.Module) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}; at least one expert must fit")
        self.counts = CacheCounts()
        self.capacity = capacity
        self._device = device
        self._free = [copy.deepcopy(example).to(device) for _ in range(capacity)]
        self._slots: OrderedDict[Key, nn.Module] = OrderedDict()
        self._sources: dict[Key, nn.Module] = {}
        self._ahead: dict[Key, Any] = {}  # fetched ahead and not yet used, with its event
        cuda = device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if cuda else None
        self._staged: Any = None  # when the copies out of the staging buffer are done
        self._staging = [
            torch.empty(part.shape, dtype=part.dtype, pin_memory=cuda) for part in _tensors(example)
        ]

    def add(self, key: Key, expert: nn.Module) -> None:
        """Make ``expert``, which stays where it is, known as ``key``."""
        self._sources[key] = expert

    def get(self, key: Key) -> nn.Module:
        """The expert on the device, fetched if need be; valid until ``capacity`` other gets."""
        if key in self._slots:
            self._slots.move_to_end(key)
            self.counts.hits += 1
            self._wait_for(key)
        else:
            self.counts.misses += 1
            self._fetch(key)
        return self._slots[key]

    def prefetch(self, keys: list[Key]) -> None:
        """Fetch what is missing of ``keys`` while the device computes.

        Never more than half of the capacity, so that guesses do not push out what is in use.
        """
        missing = [key for key in keys if key not in self._slots][: self.capacity // 2]
        if not missing:
            return
        stream = self._stream
        scope: Any = contextlib.nullcontext() if stream is None else torch.cuda.stream(stream)
        if stream is not None:
            # The slots that are overwritten may still be read by kernels in flight.
            stream.wait_stream(torch.cuda.current_stream(self._device))
        with scope:
            for key in missing:
                self._fetch(key)
                self._ahead[key] = None if stream is None else stream.record_event()
                self.counts.prefetched += 1

    def _wait_for(self, key: Key) -> None:
        if key not in self._ahead:
            return
        self.counts.prefetched_used += 1
        self._wait_until(self._ahead.pop(key))

    def _wait_until(self, event: Any) -> None:
        """Have the current stream wait for ``event``, if it is one."""
        if event is not None:
            torch.cuda.current_stream(self._device).wait_event(event)

    def _fetch(self, key: Key) -> None:
        if self._free:
            slot = self._free.pop()
        else:
            oldest, slot = self._slots.popitem(last=False)
            # It may still be on its way into the slot, on the other stream.
            self._wait_until(self._ahead.pop(oldest, None))
        self._copy(self._sources[key], slot)
        self._slots[key] = slot

    @torch.no_grad()
    def _copy(self, source: nn.Module, slot: nn.Module) -> None:
        if self._device.type != "cuda":
            for from_, to in zip(_tensors(source), _tensors(slot), strict=True):
                to.copy_(from_)
            return
        # Mapped memory cannot be pinned; a plain copy from it would block the device. The last
        # expert may have been staged for either stream.
        if self._staged is not None:
            self._staged.synchronize()
        for from_, to, staging in zip(_tensors(source), _tensors(slot), self._staging, strict=True):
            staging.copy_(from_)
            to.copy_(staging, non_blocking=True)
        self._staged = torch.cuda.current_stream(self._device).record_event()


class CachedExperts(nn.Module):
    """Stands in for a layer's experts: the same length and order, each fetched when called."""

    def __init__(self, layer: int, experts: nn.ModuleList, cache: ExpertsCache) -> None:
        super().__init__()
        self._layer = layer
        self._count = len(experts)
        self._cache = cache
        for number, expert in enumerate(experts):
            cache.add((layer, number), expert)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        for number in range(self._count):
            yield lambda hidden, key=(self._layer, number): self._cache.get(key)(hidden)


def offload_experts(layers: nn.ModuleList, device: torch.device, capacity: int) -> ExpertsCache:
    """Replace the experts of every MoE layer by cached ones.

    Args:
        layers: the decoder's layers; all but the experts must be on ``device`` when they run.
        device: where the model runs.
        capacity: experts on the device at once.

    Raises:
        ValueError: no layer has experts, or ``capacity`` is below 1.
    """
    found = [
        (index, layer.mlp)
        for index, layer in enumerate(layers)
        if isinstance(layer.mlp, MixtureOfExperts)
    ]
    if not found:
        raise ValueError("no layer has routed experts")
    cache = ExpertsCache(device, capacity, found[0][1].experts[0])
    for position, (index, moe) in enumerate(found):
        moe.experts = CachedExperts(index, moe.experts, cache)  # type: ignore[assignment]
        if position + 1 < len(found):
            following, next_moe = found[position + 1]
            moe.register_forward_pre_hook(_prefetch_hook(cache, following, next_moe.gate))
    return cache


def bytes_of_expert(layers: nn.ModuleList) -> int:
    """Bytes of one routed expert.

    Raises:
        ValueError: no layer has experts.
    """
    for layer in layers:
        if isinstance(layer.mlp, MixtureOfExperts):
            return sum(
                part.numel() * part.element_size() for part in _tensors(layer.mlp.experts[0])
            )
    raise ValueError("no layer has routed experts")


def expert_tensors(layers: nn.ModuleList) -> Iterator[list[Tensor]]:
    """The tensors of every routed expert, expert by expert."""
    for layer in layers:
        if isinstance(layer.mlp, MixtureOfExperts):
            yield from (_tensors(expert) for expert in layer.mlp.experts)


def _prefetch_hook(cache: ExpertsCache, layer: int, gate: Router) -> Any:
    """Before a MoE layer runs, guess the next one's experts.

    The residual stream changes little from layer to layer, so the next router applied to
    this layer's input often chooses as it will. Only for few tokens: many want every expert.
    """

    @torch.no_grad()
    def guess(_module: nn.Module, arguments: tuple[Any, ...]) -> None:
        hidden = arguments[0].reshape(-1, arguments[0].shape[-1])
        if len(hidden) * gate.top_k > cache.capacity // 2 or gate.training:
            return
        wanted = gate(hidden).experts.unique().tolist()
        cache.prefetch([(layer, expert) for expert in wanted])

    return guess


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*(part.data for part in module.parameters()), *module.buffers()]
