"""A recipe of nano: stages on rendered pictures, with auxiliary losses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from dvl2_cli.errors import UsageError
from dvl2_cli.finetuning.recipe import Recipe, Stage, check_run, check_stage

TowerAttention = Literal["full", "window"]
Optimizer = Literal["adamw", "muon"]

# Losses whose heads learn even where no part of the model does.
_HEAD_LOSSES = ("glyph_loss", "object_loss", "position_loss", "cell_loss")
# What only rendered pictures have targets for.
_RENDERED_ONLY = (
    *_HEAD_LOSSES,
    "guided_attention_loss",
    "counting_loss",
    "token_corruption",
    "input_corruption",
    "prefix_branches",
    "zoomed",
)
_SHARES = ("input_corruption", "prefix_branches", "zoomed", "weight_average")


@dataclass(frozen=True, slots=True)
class PretrainingStage(Stage):
    """A stage of pretraining; where ``train`` is empty only the auxiliary heads learn.

    Attributes:
        optimizer: "muon" gives the matrices inside the blocks to Muon.
        tower_attention: "window" runs the tower on quarter tiles.
        language_loss: weight of the cross-entropy of answers; 0 trains without a decoder.
        glyph_loss: weight of the glyphs that the tower's tokens show.
        object_loss: weight of the objects that they show.
        position_loss: weight of their row and column.
        cell_loss: weight of what the decoder's visual tokens show after its first layers.
        guided_attention_loss: weight of where supervised attention heads look.
        counting_loss: weight of how a supervised head counts.
        token_corruption: share 0..1 of a transcript's tokens that the decoder is shown wrong, so
            that it learns to go on after a mistake of its own.
        input_corruption: share 0..1 of the colours in what is told of scenes that it is shown
            wrong, so that it does not guess names from colours.
        prefix_branches: share 0..1 of rendered pictures whose turns are conversations of their
            own, each blind to the others.
        zoomed: share 0..1 of micro-batches whose pictures are shown as ``--zoom auto`` shows them.
        negative_masking: attribute-object pairs that no picture shows are no negatives.
        weight_average: share 0..1 of the weights that the stage began with in those it leaves.
        mix: kinds of rendered pictures and their shares; or ``data`` as in fine-tuning.
    """

    optimizer: Optimizer = "adamw"
    tower_attention: TowerAttention = "full"
    language_loss: float = 1.0
    glyph_loss: float = 0.0
    object_loss: float = 0.0
    position_loss: float = 0.0
    cell_loss: float = 0.0
    guided_attention_loss: float = 0.0
    counting_loss: float = 0.0
    token_corruption: float = 0.0
    input_corruption: float = 0.0
    prefix_branches: float = 0.0
    zoomed: float = 0.0
    negative_masking: bool = False
    weight_average: float = 0.0
    mix: dict[str, float] = field(default_factory=dict)


def pretraining_stage(stage: Stage) -> PretrainingStage:
    """``stage`` as what it is in a run of pretraining.

    Raises:
        TypeError: it is a stage of fine-tuning.
    """
    if not isinstance(stage, PretrainingStage):
        raise TypeError(f"stage {stage.name} is not a stage of pretraining")
    return stage


def check_pretraining(recipe: Recipe, where: str) -> Recipe:
    """Refuse stages that cannot be run; returns the recipe.

    Raises:
        UsageError: naming the stage, the key and what it may be.
    """
    for number, stage in enumerate(recipe.stages, 1):
        _check(pretraining_stage(stage), f"{where}: stage {number}")
    return check_run(recipe, where)


def _check(stage: PretrainingStage, where: str) -> None:
    check_stage(stage, where)
    if not stage.train and not any(getattr(stage, loss) for loss in _HEAD_LOSSES):
        raise UsageError(f"{where}: train is []; parts are vision, projector, language")
    if stage.counting_loss and not stage.guided_attention_loss:
        raise UsageError(f"{where}: counting_loss goes with guided_attention_loss")
    if (stage.cell_loss or stage.guided_attention_loss) and not stage.language_loss:
        raise UsageError(f"{where}: cell_loss and guided_attention_loss go with language_loss")
    if not 0 <= stage.token_corruption < 1:
        raise UsageError(f"{where}: token_corruption must be at least 0 and below 1")
    for key in _SHARES:
        if not 0 <= getattr(stage, key) <= 1:
            raise UsageError(f"{where}: {key} must be at least 0 and at most 1")
    if any(share < 0 for share in stage.mix.values()) or (
        stage.mix and not sum(stage.mix.values())
    ):
        raise UsageError(f"{where}: shares of mix must be positive")
    if bool(stage.mix) == bool(stage.data):
        raise UsageError(f"{where}: give either mix or data")
    only_rendered = any(getattr(stage, key) for key in _RENDERED_ONLY)
    if stage.data and (only_rendered or stage.tower_attention != "full"):
        raise UsageError(f"{where}: with data, only language_loss can be trained")
