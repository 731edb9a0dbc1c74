"""What goes where: weights, cache and activations over GPU, RAM and disk, and why.

Computed from sizes alone, before anything is loaded. A plan that cannot work raises with
the remedy; one that can names, for each part, the tier that it lies in and the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from deepseek_vl_v2.format.architecture import Architecture
from dvl2_cli.errors import OutOfMemoryError
from dvl2_cli.planning.accelerators import Accelerator
from dvl2_cli.planning.hardware import Hardware
from dvl2_cli.planning.weights import WeightPart, Weights
from dvl2_cli.planning.working_memory import (
    RUNTIME_BYTES,
    cache_bytes_per_token,
    decoder_bytes,
    vision_bytes,
)
from dvl2_cli.sizes import format_size
from dvl2_cli.units import Bytes, Count, Share

# CUDA's own context and the allocator's rounding.
_GPU_RESERVE = 900_000_000
# Placed on an accelerator in this order: what every token reads, most used first.
_ORDER = (
    WeightPart.ROUTER,
    WeightPart.ATTENTION,
    WeightPart.SHARED,
    WeightPart.DENSE,
    WeightPart.HEAD,
    WeightPart.EMBEDDINGS,
    WeightPart.PROJECTOR,
    WeightPart.VISION,
    WeightPart.ROUTED,
)


class Tier(StrEnum):
    """Where bytes lie while the model runs."""

    GPU = "gpu"
    RAM = "ram"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class Placement:
    """``nbytes`` of one thing in one tier, and why there."""

    what: str
    tier: Tier
    nbytes: Bytes
    reason: str


@dataclass(frozen=True, slots=True)
class ByTier:
    """Bytes in every tier."""

    gpu: Bytes
    ram: Bytes
    disk: Bytes


@dataclass(frozen=True, slots=True)
class Workload:
    """What a run asks for: ``tiles`` in all (thumbnails too), tokens of prompt and answer."""

    tiles: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0


# A page of a document: a thumbnail and nine tiles, a question, and an answer of some length.
PAGE = Workload(tiles=10, prompt_tokens=2100, answer_tokens=1024)


@dataclass(frozen=True, slots=True)
class Plan:
    """Placements with their totals. Sizes in bytes.

    ``resident_experts`` is the share of routed experts, 0..1, that stays in the fastest tier
    that holds any; below 1 the rest is fetched when a token is routed to it. ``cache_room`` is
    what the caches of all answers at once may take: half of what is left, a full context at least.
    """

    MEMBERS: ClassVar = (
        "device", "cap", "by_tier", "placements", "read_per_token", "cache_per_token",
        "cache_per_token_expanded", "cache_room", "resident_experts",
    )  # fmt: skip

    device: str
    placements: tuple[Placement, ...]
    cap: Count | None
    read_per_token: Bytes
    cache_per_token: Bytes
    cache_per_token_expanded: Bytes
    cache_room: Bytes
    resident_experts: Share
    notes: tuple[str, ...] = field(default=())

    def bytes_in(self, tier: Tier) -> int:
        """Bytes that the plan puts in ``tier``."""
        return sum(item.nbytes for item in self.placements if item.tier is tier)

    @property
    def by_tier(self) -> ByTier:
        """Bytes in every tier."""
        return ByTier(*(self.bytes_in(tier) for tier in Tier))


def make_plan(
    parts: Architecture,
    weights: Weights,
    hardware: Hardware,
    workload: Workload,
    *,
    device: str = "cpu",
    max_memory: int | None = None,
) -> Plan:
    """Place everything.

    Args:
        parts: the model's dimensions.
        weights: its bytes by part.
        hardware: the machine.
        workload: what the run asks for; nothing, to plan for the weights alone.
        device: "cpu", "cuda" or "mps".
        max_memory: hard cap on this process's resident memory, bytes.

    Raises:
        OutOfMemoryError: what every token needs does not fit. The cap that its hint names
            has room for a page and a full context, so it is the same before any request is known.
    """
    per_token = cache_bytes_per_token(parts.decoder)
    cache, active = _working(parts, workload)
    full = Workload(max(workload.tiles, PAGE.tiles), parts.decoder.context_length)
    spare = max(0, sum(_working(parts, full)) - cache - active)
    card = _card(hardware, device)
    if card is not None:
        placements, share = _on_gpu(weights, hardware, card, cache + active, max_memory)
    else:
        placements, share = _on_cpu(weights, hardware, cache + active, max_memory, spare=spare)
    working = Tier.GPU if card is not None else Tier.RAM
    cache_room = _cache_room(parts, placements, hardware, card, max_memory)
    placements += [
        Placement("cache", working, cache, f"{format_size(per_token)} for each token"),
        Placement("activations", working, active, "widest states while the prompt is read"),
        Placement("runtime", Tier.RAM, RUNTIME_BYTES, "Python, torch and transformers; measured"),
    ]
    return Plan(
        device=device if card is not None else "cpu",
        placements=tuple(item for item in placements if item.nbytes),
        cap=max_memory,
        read_per_token=weights.read_per_token(parts.decoder),
        cache_per_token=per_token,
        cache_per_token_expanded=cache_bytes_per_token(parts.decoder, expanded=True),
        cache_room=cache_room,
        resident_experts=share,
    )


def _working(parts: Architecture, workload: Workload) -> tuple[int, int]:
    """Bytes of the cache and of the widest activations."""
    cache = cache_bytes_per_token(parts.decoder) * (workload.prompt_tokens + workload.answer_tokens)
    active = max(
        vision_bytes(parts, workload.tiles) if workload.tiles else 0,
        decoder_bytes(parts, max(workload.prompt_tokens, 1)),
    )
    return cache, active


def _cache_room(
    parts: Architecture,
    weights: list[Placement],
    hardware: Hardware,
    card: Accelerator | None,
    cap: int | None,
) -> int:
    """What the caches may take beside the weights and the activations of a page."""
    if card is not None:
        tier, room = Tier.GPU, card.memory_free - _GPU_RESERVE
    else:
        tier, room = Tier.RAM, (hardware.usable_ram if cap is None else cap) - RUNTIME_BYTES
    room -= sum(item.nbytes for item in weights if item.tier is tier)
    room -= _working(parts, PAGE)[1]
    full = cache_bytes_per_token(parts.decoder) * parts.decoder.context_length
    return max(full, room // 2)


def _card(hardware: Hardware, device: str) -> Accelerator | None:
    kind = device.split(":")[0]
    if kind == "cpu":
        return None
    cards = [card for card in hardware.accelerators.value if card.kind == kind]
    return max(cards, key=lambda card: card.memory_free) if cards else None


def _on_cpu(
    weights: Weights, hardware: Hardware, working: int, cap: int | None, *, spare: int
) -> tuple[list[Placement], float]:
    """All weights are mapped from their files; RAM keeps as many of them as there is room for."""
    room = hardware.usable_ram if cap is None else cap
    routed = weights.parts[WeightPart.ROUTED]
    fixed = weights.total - routed
    least = _least_weights(weights) + working + RUNTIME_BYTES
    if room < least:
        raise _too_small(least, room, cap, spare)
    left = room - fixed - working - RUNTIME_BYTES
    held = max(0, min(routed, left))
    share = held / routed if routed else 1.0
    why_fixed = "mapped from the file; every token reads it"
    placements = [
        Placement(part, Tier.RAM, weights.parts[part], why_fixed)
        for part in _ORDER
        if part
        not in (WeightPart.ROUTED, WeightPart.VISION, WeightPart.PROJECTOR, WeightPart.EMBEDDINGS)
    ]
    placements += [
        Placement(part, Tier.RAM, weights.parts[part], "mapped from the file; read for pictures")
        for part in (WeightPart.VISION, WeightPart.PROJECTOR)
    ]
    placements.append(
        Placement(
            WeightPart.EMBEDDINGS,
            Tier.RAM,
            weights.parts[WeightPart.EMBEDDINGS],
            "mapped from the file; one row for each token",
        )
    )
    reason = "mapped from the file; all fit"
    if share < 1:
        limit = "the cap" if cap is not None else "free RAM"
        reason = f"mapped from the file; {share:.0%} fit within {limit}, used ones stay"
    placements.append(Placement(WeightPart.ROUTED, Tier.RAM, held, reason))
    placements.append(
        Placement(
            WeightPart.ROUTED, Tier.DISK, routed - held, "read when a token is routed to them"
        )
    )
    return placements, share


def _least_weights(weights: Weights) -> int:
    """Bytes of weights in RAM below which a model on the CPU only waits for the disk."""
    routed, tower = weights.parts[WeightPart.ROUTED], weights.parts[WeightPart.VISION]
    # The tower is read once for a picture and may leave again.
    return weights.total - routed - tower + max(tower, routed // 8)


def picture_room(cap: int, weights: Weights | None) -> int:
    """Bytes that ``cap`` leaves for decoded pictures.

    Args:
        cap: most resident memory of this process, in bytes.
        weights: of the model if it runs on the CPU of this process, else None.
    """
    held = 0 if weights is None else _least_weights(weights)
    return max(0, cap - RUNTIME_BYTES - held)


def _on_gpu(
    weights: Weights, hardware: Hardware, card: Accelerator, working: int, cap: int | None
) -> tuple[list[Placement], float]:
    """What every token reads has to lie on the accelerator; then experts, while there is room."""
    routed = weights.parts[WeightPart.ROUTED]
    fixed = weights.total - routed
    room = card.memory_free - _GPU_RESERVE - working - fixed
    if room < 0 or (weights.whole and room < routed):
        least = card.memory_free - room + (routed if weights.whole else 0)
        raise _card_too_small(card, least)
    placements = [
        Placement(part, Tier.GPU, weights.parts[part], "every token reads it")
        for part in _ORDER
        if part is not WeightPart.ROUTED
    ]
    held = min(routed, room)
    share = held / routed if routed else 1.0
    reason = "all fit" if share == 1 else f"{share:.0%} fit; least recently used leave"
    placements.append(Placement(WeightPart.ROUTED, Tier.GPU, held, reason))
    ram = (hardware.usable_ram if cap is None else cap) - RUNTIME_BYTES
    if ram < 0:
        raise _too_small(RUNTIME_BYTES - ram, hardware.usable_ram, cap)
    in_ram = min(routed - held, ram)
    placements.append(Placement(WeightPart.ROUTED, Tier.RAM, in_ram, "fetched when routed to"))
    placements.append(
        Placement(
            WeightPart.ROUTED, Tier.DISK, routed - held - in_ram, "mapped; read when routed to"
        )
    )
    return placements, share


def _card_too_small(card: Accelerator, needed: int) -> OutOfMemoryError:
    return OutOfMemoryError(
        f"this run needs at least {format_size(needed)} on {card.name}, and "
        f"{format_size(card.memory_free)} are free there",
        "Give --device cpu, close other programs that use the card, or choose a smaller model.",
    )


def _too_small(needed: int, room: int, cap: int | None, spare: int = 0) -> OutOfMemoryError:
    """``spare`` bytes beyond what is needed belong to the cap that is advised."""
    if cap is not None:
        return OutOfMemoryError(
            f"--max-memory {format_size(cap)} is too small: this run needs at least "
            f"{format_size(needed)}",
            f"Give --max-memory {_round_up(needed + spare)}, fewer tiles (--tiles 1) or "
            "a smaller model.",
        )
    return OutOfMemoryError(
        f"this run needs at least {format_size(needed)} and {format_size(room)} are free",
        "Close other programs, or choose --quant int4, fewer tiles (--tiles 1) or a smaller model.",
    )


def _round_up(size: int) -> str:
    return f"{-(-size // 100_000_000) / 10:g}GB"
