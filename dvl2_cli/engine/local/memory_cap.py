"""``--max-memory``: refuse what cannot work, then keep the process under the cap."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

from torch import Tensor

from deepseek_vl_v2.core import ImageTextModel
from deepseek_vl_v2.experts_cache import expert_tensors
from dvl2_cli.planning.hardware import Hardware, probe
from dvl2_cli.planning.plan import PAGE, Plan, Workload, make_plan
from dvl2_cli.planning.resident_cap import MemorySpan, ResidentCap
from dvl2_cli.planning.weights import weights_held
from dvl2_cli.sizes import parse_size
from dvl2_cli.store.checkpoint import CheckpointInfo


def check_fits(
    info: CheckpointInfo, device: str, max_memory: str | None, hardware: Hardware | None = None
) -> Plan:
    """Refuse a model that cannot run within memory, before any weight is read.

    Returns:
        What goes where. An accelerator keeps room for a page beside the weights.

    Raises:
        OutOfMemoryError: it does not fit; the hint says what would.
        UsageError: ``max_memory`` is not a size.
    """
    cap = None if max_memory is None else parse_size(max_memory)
    hardware = hardware or probe()
    weights = weights_held(info, device, hardware, cap)
    workload = Workload() if device == "cpu" else PAGE
    return make_plan(info.architecture, weights, hardware, workload, device=device, max_memory=cap)


def hold_cap(model: ImageTextModel, max_memory: str, *, drop_cache: bool = False) -> ResidentCap:
    """Keep this process under ``max_memory`` while ``model``, on the CPU, is alive.

    Routed experts and the tower's blocks are given back when memory runs short, which ones
    were longest resident first; ``drop_cache`` is for measuring (see ``ResidentCap``).
    """
    chunks = list(_chunks(model))
    spans = [[MemorySpan(part.data_ptr(), part.nbytes) for part in chunk] for chunk in chunks]
    cap = ResidentCap(parse_size(max_memory), spans, owners=chunks, drop_cache=drop_cache)
    weakref.finalize(model, cap.close)
    return cap


def _chunks(model: ImageTextModel) -> Iterator[list[Tensor]]:
    for block in model.vision.blocks:
        yield [*(part.data for part in block.parameters()), *block.buffers()]
    yield from expert_tensors(model.language.model.layers)
