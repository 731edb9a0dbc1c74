"""``--plan``: what a command would take, before it loads anything.

Commands call ``show_plan(common, requests, subjects)``; it reads the model folder's JSON,
headers and tokenizer, never a weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dvl2_cli.engine.events import PromptCost
from dvl2_cli.engine.request import Request
from dvl2_cli.errors import OutOfMemoryError
from dvl2_cli.planning.choose import Choice, choose_device
from dvl2_cli.planning.hardware import Hardware, probe
from dvl2_cli.planning.plan import Need, Plan, Tier, make_plan
from dvl2_cli.planning.size import parse_size
from dvl2_cli.planning.weights import Weights, weights_from_headers

if TYPE_CHECKING:
    from dvl2_cli.options import CommonOptions
    from dvl2_cli.settings import Settings
    from dvl2_cli.store.checkpoint import CheckpointInfo
    from dvl2_cli.store.resolve import Resolved


@dataclass(frozen=True, slots=True)
class PromptPlan:
    """What one request takes of the context."""

    subject: str
    prompt_tokens: int
    image_tokens: int
    context_length: int
    tiles: tuple[tuple[int, int], ...]

    @property
    def room(self) -> int:
        """Tokens left for the answer; negative where the prompt is too long."""
        return self.context_length - self.prompt_tokens


@dataclass(frozen=True, slots=True)
class PlanReport:
    """Everything that ``--plan`` shows. ``plan`` is None where the run does not fit."""

    model: str
    quant: str
    choices: tuple[Choice, ...]
    prompts: tuple[PromptPlan, ...]
    weights: Weights
    plan: Plan | None
    refusal: OutOfMemoryError | None
    ram_available: int

    def as_json(self) -> dict[str, Any]:
        """The report as plain data; sizes in bytes."""
        return {
            "schema": "dvl2.plan/1",
            "model": {"id": self.model, "quant": self.quant},
            "choices": [asdict(choice) for choice in self.choices],
            "prompts": [asdict(prompt) | {"room": prompt.room} for prompt in self.prompts],
            "weights": {part.name.lower(): size for part, size in self.weights.parts.items()},
            "weights_source": self.weights.source,
            "memory": _memory_json(self.plan),
            "ram_available": self.ram_available,
            "error": None if self.refusal is None else self.refusal.as_json(),
        }


def show_plan(
    common: CommonOptions, requests: Sequence[Request], subjects: Sequence[str] | None = None
) -> None:
    """Write the plan of ``requests`` to stdout: a table, or with ``--json`` one line.

    Args:
        common: the command's shared options.
        requests: as they would be asked; each is planned on its own, memory for the largest.
        subjects: a name for each request, as the file it is about.

    Raises:
        ModelError: the model is missing or broken.
        OutOfMemoryError: after the plan is shown, where the run cannot fit.
    """
    from dvl2_cli.ui.console import Console
    from dvl2_cli.ui.output import Output
    from dvl2_cli.ui.plan_table import render_plan

    report = plan_report(common, requests, subjects)
    if common.json:
        Output().json(report.as_json())
    else:
        render_plan(report, Console(common).rich_out())
    if report.refusal is not None:
        raise report.refusal


def plan_report(
    common: CommonOptions, requests: Sequence[Request], subjects: Sequence[str] | None = None
) -> PlanReport:
    """The plan of ``requests`` as data; see ``show_plan``."""
    from dvl2_cli.engine.opening import effective_settings
    from dvl2_cli.store.checkpoint import check_checkpoint
    from dvl2_cli.store.resolve import resolve, wish_from

    settings = effective_settings(common)
    hardware = probe()
    device = choose_device(hardware, settings.device)
    resolved = resolve(wish_from(settings, common.revision), remember=False)
    info = check_checkpoint(resolved.folder)
    names = subjects or [f"request {index + 1}" for index in range(len(requests))]
    costs = [_cost(info, request) for request in requests]
    prompts = tuple(
        PromptPlan(name, c.prompt_tokens, c.image_tokens, c.context_length, c.tiles)
        for name, c in zip(names, costs, strict=True)
    )
    weights = weights_from_headers({key: item.nbytes for key, item in info.tensors.items()})
    plan, refusal = _try_plan(info, weights, hardware, prompts, requests, device, settings)
    return PlanReport(
        model=resolved.id,
        quant=resolved.quant,
        choices=(_model_choice(resolved), _quant_choice(resolved), device),
        prompts=prompts,
        weights=weights,
        plan=plan,
        refusal=refusal,
        ram_available=hardware.ram_available.value,
    )


def _try_plan(
    info: CheckpointInfo,
    weights: Weights,
    hardware: Hardware,
    prompts: Sequence[PromptPlan],
    requests: Sequence[Request],
    device: Choice,
    settings: Settings,
) -> tuple[Plan | None, OutOfMemoryError | None]:
    cap = None if settings.max_memory is None else parse_size(settings.max_memory)
    try:
        need = _largest(prompts, requests)
        plan = make_plan(
            info.architecture, weights, hardware, need, device=device.chosen, max_memory=cap
        )
    except OutOfMemoryError as error:
        return None, error
    return plan, None


def _largest(prompts: Sequence[PromptPlan], requests: Sequence[Request]) -> Need:
    tiles = [sum(1 + columns * rows for columns, rows in prompt.tiles) for prompt in prompts]
    answers = [
        max(0, min(request.sampling.max_new_tokens, prompt.room))
        for prompt, request in zip(prompts, requests, strict=True)
    ]
    return Need(
        tiles=max(tiles, default=0),
        prompt_tokens=max((prompt.prompt_tokens for prompt in prompts), default=0),
        answer_tokens=max(answers, default=0),
    )


def _cost(info: CheckpointInfo, request: Request) -> PromptCost:
    # Torch and transformers are imported for their tokenizer; no weight is.
    from deepseek_vl_v2.processing import DeepseekVLV2Processor
    from dvl2_cli.engine.local.prompt import build_prompt

    processor = DeepseekVLV2Processor.from_pretrained(info.folder, local_files_only=True)
    context = info.architecture.decoder.context_length
    return build_prompt(request, processor, context, hashed=False).cost


def _model_choice(resolved: Resolved) -> Choice:
    return Choice("model", resolved.id, resolved.reason)


def _quant_choice(resolved: Resolved) -> Choice:
    reason = "the weights as they are in the folder"
    if resolved.quant != "none":
        reason = "the copy that is here and reads fewest bytes for each token"
    return Choice("quant", resolved.quant, reason)


def _memory_json(plan: Plan | None) -> dict[str, Any] | None:
    if plan is None:
        return None
    return {
        "device": plan.device,
        "cap": plan.cap,
        "by_tier": {tier.value: plan.bytes_in(tier) for tier in Tier},
        "placements": [asdict(item) for item in plan.placements],
        "read_per_token": plan.read_per_token,
        "cache_per_token": plan.cache_per_token,
        "cache_per_token_expanded": plan.cache_per_token_expanded,
        "resident_experts": plan.resident_experts,
    }
