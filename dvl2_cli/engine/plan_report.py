"""``--plan``: what a command would take, before it loads anything.

A command adds its requests to a ``Planner`` one by one and shows the report at its end. The
model folder's JSON, headers and tokenizer are read, never a weight.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dvl2_cli.engine.events import PromptCost
from dvl2_cli.engine.request import Request
from dvl2_cli.errors import ContextOverflowError, Dvl2Error, OutOfMemoryError, UsageError
from dvl2_cli.planning.choose import Choice
from dvl2_cli.planning.hardware import Hardware
from dvl2_cli.planning.plan import Plan, Workload, make_plan
from dvl2_cli.planning.weights import Weights, weights_held
from dvl2_cli.row import JsonRow
from dvl2_cli.sizes import parse_size
from dvl2_cli.units import Bytes, Count

if TYPE_CHECKING:
    from deepseek_vl_v2.prompting import PromptProcessor
    from dvl2_cli.engine.session import Session
    from dvl2_cli.settings import Settings
    from dvl2_cli.store.policy import Policy
    from dvl2_cli.store.resolve import Resolved


@dataclass(frozen=True, slots=True)
class PromptPlan:
    """What one request takes of the context."""

    MEMBERS: ClassVar = (
        "subject", "prompt_tokens", "image_tokens", "context_length", "tiles", "room",
    )  # fmt: skip

    subject: str
    prompt_tokens: Count
    image_tokens: Count
    context_length: Count
    tiles: tuple[tuple[Count, Count], ...]

    @property
    def room(self) -> int:
        """Tokens left for the answer; negative where the prompt is too long."""
        return self.context_length - self.prompt_tokens


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """The model that a plan is for."""

    id: str
    quant: str


@dataclass(frozen=True, slots=True)
class FreeCard:
    """An accelerator and its memory."""

    kind: str
    name: str
    free: Bytes
    total: Bytes


@dataclass(frozen=True, slots=True)
class PlanRow(JsonRow):
    """The plan as a command prints it."""

    schema = "dvl2.plan/1"
    heading = "The line of --plan --json of chat, ocr, ground and caption"

    model: PlannedModel
    choices: tuple[Choice, ...]
    prompts: tuple[PromptPlan, ...]
    weights: dict[str, Bytes]
    weights_source: str
    memory: Plan | None
    ram_available: Bytes
    disk_free: Bytes
    accelerators: list[FreeCard]
    error: Dvl2Error | None


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
    hardware: Hardware

    def row(self) -> PlanRow:
        """The line of ``--plan --json``."""
        cards = self.hardware.accelerators.value
        return PlanRow(
            model=PlannedModel(self.model, self.quant),
            choices=self.choices,
            prompts=self.prompts,
            weights={part.name.lower(): size for part, size in self.weights.parts.items()},
            weights_source=self.weights.source,
            memory=self.plan,
            ram_available=self.hardware.ram_available.value,
            disk_free=self.hardware.disk_free.value,
            accelerators=[
                FreeCard(card.kind, card.name, card.memory_free, card.memory_total)
                for card in cards
            ],
            error=self.refusal,
        )


class Planner:
    """The plan of a command's requests; keeps counts only, however many pictures there are.

    Raises:
        ModelError: the model is missing or broken.
        UsageError: a setting is wrong, or the answers would come from a server.
    """

    def __init__(self, session: Session) -> None:
        settings = session.settings
        if settings.server is not None:
            raise UsageError(
                "--plan is for a model on this machine, and a server would answer",
                f"Only the server knows what it takes ({settings.source('server')}).",
            )
        self._settings = settings
        self._cap = None if settings.max_memory is None else parse_size(settings.max_memory)
        self._resolved = session.resolved
        self._info = session.checkpoint
        self._hardware = session.hardware
        self._device = session.device
        self._prompts: list[PromptPlan] = []
        self._largest = Workload()

    def add(self, request: Request, subject: str) -> ContextOverflowError | None:
        """Count one request; memory is planned for the largest of all.

        Args:
            request: as it would be asked.
            subject: what it is about, as a file's name.

        Returns:
            Why the request would be refused, or None.
        """
        from dvl2_cli.engine.local.prompt import context_overflow

        cost = self._cost(request)
        prompt = PromptPlan(
            subject, cost.prompt_tokens, cost.image_tokens, cost.context_length, cost.tiles
        )
        self._prompts.append(prompt)
        answer = max(0, min(request.sampling.max_new_tokens, prompt.room))
        self._largest = Workload(
            max(self._largest.tiles, sum(1 + columns * rows for columns, rows in cost.tiles)),
            max(self._largest.prompt_tokens, cost.prompt_tokens),
            max(self._largest.answer_tokens, answer),
        )
        return None if prompt.room > 0 else context_overflow(cost)

    def report(self) -> PlanReport:
        """The plan of everything that was added."""
        weights = weights_held(self._info, self._device.chosen, self._hardware, self._cap)
        plan, refusal = self._fit(weights)
        resolved = self._resolved
        return PlanReport(
            model=resolved.id,
            quant=resolved.quant,
            choices=(
                _model_choice(resolved),
                _quant_choice(resolved, self._settings),
                self._device,
            ),
            prompts=tuple(self._prompts),
            weights=weights,
            plan=plan,
            refusal=refusal,
            hardware=self._hardware,
        )

    @property
    def policy(self) -> Policy:
        """What the model wants done around its answers."""
        return self._info.policy

    @functools.cached_property
    def _processor(self) -> PromptProcessor:
        from deepseek_vl_v2.prompting import PromptProcessor

        return PromptProcessor(self._info.folder)

    def _cost(self, request: Request) -> PromptCost:
        from dvl2_cli.engine.local.prompt import build_prompt

        context = self._info.architecture.decoder.context_length
        prompt = build_prompt(request, self._processor, context, policy=self.policy, hashed=False)
        return prompt.cost

    def _fit(self, weights: Weights) -> tuple[Plan | None, OutOfMemoryError | None]:
        parts, device = self._info.architecture, self._device.chosen
        try:
            plan = make_plan(
                parts, weights, self._hardware, self._largest, device=device, max_memory=self._cap
            )
        except OutOfMemoryError as error:
            return None, error
        return plan, None


def _model_choice(resolved: Resolved) -> Choice:
    return Choice("model", resolved.id, resolved.reason)


def _quant_choice(resolved: Resolved, settings: Settings) -> Choice:
    if settings.quant != "auto":
        reason = f"from {settings.source('quant')}"
    elif resolved.revision is None:
        reason = "what the folder holds"
    else:
        reason = "of the copies that are here the one that runs fastest"
    return Choice("quant", resolved.quant, reason)
