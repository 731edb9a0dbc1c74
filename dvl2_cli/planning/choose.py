"""Automatic choices: the device, and the copy that suits it; each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deepseek_vl_v2.format.architecture import Architecture
from dvl2_cli.errors import OutOfMemoryError, UsageError
from dvl2_cli.planning.hardware import Hardware
from dvl2_cli.planning.plan import PAGE, Plan, Workload, make_plan
from dvl2_cli.planning.weights import Weights, predicted_weights

# Best first. On a GPU bfloat16 is fastest where it fits; on a CPU speed is bytes read, so the
# smallest copy is the fastest (benchmarks/README.md).
_ON_CUDA = ("none", "int8", "nf4")
_ON_CPU = ("int4", "int8", "none")
# bfloat16 is native from compute capability 8.0 (Ampere) on.
_NATIVE_BF16 = (8, 0)


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen and why."""

    what: str
    chosen: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """Whether one model runs on this machine: the best plan, or why there is none.

    ``remedy`` is what would make it run, or None where it does.
    """

    model: str
    quant: str
    device: str
    plan: Plan | None
    reason: str
    remedy: str | None = None

    @property
    def runs(self) -> bool:
        """Whether there is a plan."""
        return self.plan is not None


def choose_device(hardware: Hardware, requested: str = "auto", *, packed: bool = False) -> Choice:
    """The device for ``requested`` as far as it can be told without torch.

    ``packed`` says that the weights are in dvl2's own format, which only the CPU multiplies.
    """
    if requested != "auto":
        return Choice("device", requested, "as asked")
    cards = hardware.accelerators.value
    if cards and packed:
        return Choice("device", "cpu", "the copy is packed for the CPU")
    if cards:
        best = max(cards, key=lambda card: card.memory_free)
        return Choice("device", best.kind, f"{best.name} is there")
    return Choice("device", "cpu", f"no accelerator is there: {hardware.accelerators.source}")


def check_packed(folder: Path, device: str) -> None:
    """Refuse a packed copy anywhere but on the CPU.

    Raises:
        UsageError: ``device`` is another.
    """
    if device != "cpu":
        raise UsageError(
            f"the copy in {folder} is packed for the CPU, and --device is {device}",
            "Use --device cpu, or a copy made with dvl2 quantize --quant nf4.",
        )


def outlook(
    name: str,
    parts: Architecture,
    hardware: Hardware,
    *,
    workload: Workload = PAGE,
    max_memory: int | None = None,
) -> Outlook:
    """The best way to run a model here: the first copy that fits whole, else the least split."""
    device = choose_device(hardware).chosen
    best: Outlook | None = None
    refused: list[tuple[int, str, OutOfMemoryError]] = []
    for quant in _ON_CPU if device == "cpu" else _ON_CUDA:
        weights = predicted_weights(parts, quant)
        try:
            plan = make_plan(
                parts, weights, hardware, workload, device=device, max_memory=max_memory
            )
        except OutOfMemoryError as error:
            refused.append((weights.total, quant, error))
            continue
        found = Outlook(name, quant, device, plan, _why(plan, quant, hardware))
        if plan.resident_experts == 1:
            return found
        if best is None or best.plan is None or plan.resident_experts > best.plan.resident_experts:
            best = found
    if best is not None:
        return best
    # What the smallest copy lacks is the least that has to be found.
    _, quant, least = min(refused, key=lambda item: item[0])
    return _cannot_run(name, quant, device, least)


def outlook_of_copy(
    name: str,
    parts: Architecture,
    weights: Weights,
    quant: str,
    hardware: Hardware,
    *,
    packed: bool,
    workload: Workload = PAGE,
    max_memory: int | None = None,
) -> Outlook:
    """Whether a copy that is on this machine runs here, from its own ``weights``.

    ``packed`` as in ``choose_device``.
    """
    device = choose_device(hardware, packed=packed).chosen
    try:
        plan = make_plan(parts, weights, hardware, workload, device=device, max_memory=max_memory)
    except OutOfMemoryError as error:
        return _cannot_run(name, quant, device, error)
    return Outlook(name, quant, device, plan, _why(plan, quant, hardware))


def _cannot_run(name: str, quant: str, device: str, error: OutOfMemoryError) -> Outlook:
    return Outlook(name, quant, device, None, error.message, error.hint)


def _why(plan: Plan, quant: str, hardware: Hardware) -> str:
    if plan.resident_experts < 1:
        share = f"{plan.resident_experts:.0%}"
        where = "free memory" if plan.device == "cpu" else "the accelerator"
        return f"{share} of the routed experts fit in {where}; the rest is read when needed"
    if plan.device == "cpu":
        return "fits in free RAM" + (
            "; fewest bytes read for each token" if quant == "int4" else ""
        )
    card = max(hardware.accelerators.value, key=lambda item: item.memory_free)
    note = ""
    if card.capability is not None and card.capability < _NATIVE_BF16 and quant == "none":
        note = "; held as float16, the card has no bfloat16"
    return f"fits on {card.name}{note}"
