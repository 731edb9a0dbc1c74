"""A recipe: the model to start from and the stages that it goes through.

The paper's three stages are three ``[[stage]]`` tables: stage 1 trains ``vision`` and
``projector``, stage 2 everything on mixed data, stage 3 answers of conversations. Nano adds
a stage before them, with ``tower = "windows"`` and only the dense loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from dvl2_cli.errors import UsageError

Schedule = Literal["constant", "cosine", "wsd"]
Tower = Literal["full", "windows"]
Packing = Literal["pad", "pack"]
Optimizer = Literal["adamw", "muon"]
# The parts of the model that a stage may train.
PARTS = ("vision", "projector", "language")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage; weights of losses, learning rate and data are constant but for the schedule.

    ``train`` names parts of the model; where it is empty only the auxiliary heads learn, which a
    checkpoint does not hold.

    Of the losses, ``dense_loss`` (glyphs), ``thing_loss`` (objects) and ``place_loss`` are of what
    the tower's tokens show, ``cell_loss`` of what the decoder's do after its first layers, and
    ``pointer_loss`` of where its attention looks, ``tally_loss`` of how it counts.

    ``mix`` maps kinds of rendered pictures to their share; ``data`` is a JSON Lines file of
    conversations instead, read ``epochs`` times where ``steps`` is 0.
    ``tokens`` bounds a micro-batch (text and image tokens, padding included) and ``tiles``
    the pictures' tiles; ``micro_batches`` of them, over all processes, make a step.
    ``noise`` is the share 0..1 of a transcript's tokens that the decoder is shown wrong, so
    that it learns to go on after a mistake of its own, and ``misled`` that of the colours in what
    is told of scenes, so that it does not guess names from colours. ``branches`` is the share 0..1
    of rendered pictures whose turns are conversations of their own, each blind to the others.
    ``zoomed`` is the share 0..1 of micro-batches whose pictures are shown as ``--zoom auto``
    shows them (see ``planning.print_size``). ``open_world``: looks that no picture shows are not
    taught to be none (see ``unseen``). ``average`` is the share 0..1 of the weights that the
    stage began with in those that it leaves (see ``averaging``).
    """

    name: str
    learning_rate: float
    steps: int = 0
    epochs: int = 0
    data: str = ""
    optimizer: Optimizer = "adamw"
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
    tower: Tower = "full"
    dense_loss: float = 0.0
    thing_loss: float = 0.0
    place_loss: float = 0.0
    pointer_loss: float = 0.0
    cell_loss: float = 0.0
    tally_loss: float = 0.0
    language_loss: float = 1.0
    balance_loss: float = 0.001
    bias_rate: float = 0.001
    noise: float = 0.0
    misled: float = 0.0
    branches: float = 0.0
    zoomed: float = 0.0
    open_world: bool = False
    average: float = 0.0
    mix: dict[str, float] = field(default_factory=dict)


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
    """Stages in order. ``base`` is a model, or "fresh-nano" for nano's architecture.

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
        place = f"{where}: stage {number}"
        check_stage(stage, place)
        if bool(stage.mix) == bool(stage.data):
            raise UsageError(f"{place}: give either mix or data")
        if stage.data and (
            stage.dense_loss
            or stage.thing_loss
            or stage.place_loss
            or stage.pointer_loss
            or stage.cell_loss
            or stage.tally_loss
            or stage.tower != "full"
            or stage.noise
            or stage.misled
            or stage.branches
            or stage.zoomed
        ):
            raise UsageError(f"{place}: with data, only language_loss can be trained")
        if recipe.lora is not None and "language" not in stage.train:
            raise UsageError(f"{place}: with lora, train must hold language")
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
    unknown = [part for part in stage.train if part not in PARTS]
    heads = any(getattr(stage, f"{name}_loss") for name in ("dense", "thing", "place", "cell"))
    if unknown or not (stage.train or heads):
        raise UsageError(f"{where}: train is {list(stage.train)}; parts are {', '.join(PARTS)}")
    choices = {
        "optimizer": get_args(Optimizer),
        "schedule": get_args(Schedule),
        "tower": get_args(Tower),
        "packing": get_args(Packing),
    }
    for key, allowed in choices.items():
        if getattr(stage, key) not in allowed:
            raise UsageError(f"{where}: {key} is not one of {', '.join(allowed)}")
    if (stage.steps < 1) == (stage.epochs < 1) or (stage.epochs and not stage.data):
        raise UsageError(f"{where}: give steps, or with data epochs, of at least 1")
    for key in ("micro_batches", "tokens", "tiles"):
        if getattr(stage, key) < 1:
            raise UsageError(f"{where}: {key} must be at least 1")
    for key in ("learning_rate", "warmup", "decay", "final", "weight_decay"):
        if getattr(stage, key) < 0:
            raise UsageError(f"{where}: {key} must not be negative")
    if stage.tally_loss and not stage.pointer_loss:
        raise UsageError(f"{where}: tally_loss goes with pointer_loss")
    if not 0 <= stage.noise < 1:
        raise UsageError(f"{where}: noise must be at least 0 and below 1")
    if (stage.cell_loss or stage.pointer_loss) and not stage.language_loss:
        raise UsageError(f"{where}: cell_loss and pointer_loss go with language_loss")
    for key in ("misled", "branches", "zoomed", "average"):
        if not 0 <= getattr(stage, key) <= 1:
            raise UsageError(f"{where}: {key} must be at least 0 and at most 1")
    if any(share < 0 for share in stage.mix.values()) or (
        stage.mix and not sum(stage.mix.values())
    ):
        raise UsageError(f"{where}: shares of mix must be positive")
