"""A recipe: the model to start from and the stages that it goes through.

The paper's three stages are three ``[[stage]]`` tables: stage 1 trains ``vision`` and
``projector``, stage 2 everything on mixed data, stage 3 answers of conversations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args, get_origin, get_type_hints

from dvl2_cli.errors import UsageError

Schedule = Literal["constant", "cosine", "wsd"]
Packing = Literal["pad", "pack"]
# The parts of the model that a stage may train.
PARTS = ("vision", "projector", "language")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage; learning rate and data are constant but for the schedule.

    ``train`` names parts of the model. ``data`` is a JSON Lines file of conversations, read
    ``epochs`` times where ``steps`` is 0. ``tokens`` bounds a micro-batch (text and image tokens,
    padding included) and ``tiles`` the pictures' tiles; ``micro_batches`` of them, over all
    processes, make a step. ``balance_loss`` weights the routers' balance, and ``bias_rate`` is the
    step of their correction bias.
    """

    name: str
    learning_rate: float
    steps: int = 0
    epochs: int = 0
    data: str = ""
    train: tuple[str, ...] = PARTS
    schedule: Schedule = "cosine"
    warmup: int = 50
    decay: int = 0
    final: float = 0.05
    weight_decay: float = 0.01
    micro_batches: int = 2
    tokens: int = 4096
    tiles: int = 4
    packing: Packing = "pad"
    balance_loss: float = 0.001
    bias_rate: float = 0.001


@dataclass(frozen=True, slots=True)
class Lora:
    """Train low-rank additions (arXiv 2106.09685) to the decoder's projections, nothing else.

    There is no dropout: a resumed run would draw other values than one that was not stopped.
    """

    rank: int
    alpha: int = 0  # 0: twice the rank
    experts: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """Stages in order. ``base`` is a model.

    ``data`` is for the stages that name no data of their own. The answers of ``held_out``
    are measured every ``evaluate_every`` steps, or with every checkpoint.
    """

    name: str
    base: str
    stages: tuple[Stage, ...]
    data: str = ""
    held_out: str = ""
    lora: Lora | None = None
    seed: int = 0
    checkpoint_every: int = 200
    evaluate_every: int = 0
    clip: float = 1.0


def check_recipe(recipe: Recipe, where: str) -> Recipe:
    """Refuse stages that cannot be run; returns the recipe.

    Raises:
        UsageError: naming the stage, the key and what it may be.
    """
    for number, stage in enumerate(recipe.stages, 1):
        check_stage(stage, f"{where}: stage {number}")
        if not stage.data:
            raise UsageError(f"{where}: stage {number}: name the data")
        if not stage.train:
            raise UsageError(f"{where}: stage {number}: train is []; {_PARTS_ARE}")
    return check_run(recipe, where)


def check_run(recipe: Recipe, where: str) -> Recipe:
    """Refuse what belongs to no single stage; returns the recipe.

    Raises:
        UsageError: naming the key and what it may be.
    """
    for number, stage in enumerate(recipe.stages, 1):
        if recipe.lora is not None and "language" not in stage.train:
            raise UsageError(f"{where}: stage {number}: with lora, train must hold language")
    if recipe.lora is not None and (recipe.lora.rank < 1 or recipe.lora.alpha < 0):
        raise UsageError(f"{where}: the rank of lora must be at least 1, alpha not negative")
    if recipe.checkpoint_every < 1:
        raise UsageError(f"{where}: checkpoint_every must be at least 1")
    return recipe


def check_stage(stage: Stage, where: str) -> None:
    """Refuse values that no run can carry out.

    Raises:
        UsageError: naming the key and what it may be.
    """
    if any(part not in PARTS for part in stage.train):
        raise UsageError(f"{where}: train is {list(stage.train)}; {_PARTS_ARE}")
    for key, hint in get_type_hints(type(stage)).items():
        allowed = get_args(hint)
        if get_origin(hint) is Literal and getattr(stage, key) not in allowed:
            raise UsageError(f"{where}: {key} is not one of {', '.join(allowed)}")
    if (stage.steps < 1) == (stage.epochs < 1) or (stage.epochs and not stage.data):
        raise UsageError(f"{where}: give steps, or with data epochs, of at least 1")
    for key in ("micro_batches", "tokens", "tiles"):
        if getattr(stage, key) < 1:
            raise UsageError(f"{where}: {key} must be at least 1")
    for key in ("learning_rate", "warmup", "decay", "final", "weight_decay"):
        if getattr(stage, key) < 0:
            raise UsageError(f"{where}: {key} must not be negative")


_PARTS_ARE = f"parts are {', '.join(PARTS)}"
