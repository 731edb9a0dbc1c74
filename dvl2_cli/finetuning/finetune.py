"""The recipe that the flags of ``dvl2 train DATA.jsonl`` stand for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dvl2_cli.finetuning.recipe import Lora, Recipe, Stage, check_recipe

# Usual peaks: an adapter starts from zero and is small, a whole model is only nudged.
LORA_RATE, FULL_RATE = 2e-4, 2e-5
EPOCHS = 3
WARMUP = 20


@dataclass(frozen=True, slots=True)
class FineTuning:
    """What the flags say; None where nothing was given."""

    model: str
    lora: int | None = None
    experts: bool | None = None
    steps: int | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    micro_batches: int | None = None
    tokens: int | None = None
    tiles: int | None = None
    pack: bool = False
    held_out: Path | None = None
    save_every: int | None = None
    seed: int | None = None


def fine_tuning_recipe(data: Path, given: FineTuning) -> Recipe:
    """One stage on ``data``.

    Raises:
        UsageError: a value that no run can carry out.
    """
    lora = Lora(given.lora, experts=bool(given.experts)) if given.lora is not None else None
    steps = given.steps or 0
    rate = LORA_RATE if lora else FULL_RATE
    stage = Stage(
        name="fine-tune",
        data=str(data),
        steps=steps,
        epochs=0 if steps else given.epochs or EPOCHS,
        learning_rate=rate if given.learning_rate is None else given.learning_rate,
        warmup=min(WARMUP, -(-steps // 10)) if steps else WARMUP,
        micro_batches=given.micro_batches or 2,
        tokens=given.tokens or 4096,
        tiles=given.tiles or 16,
        packing="pack" if given.pack else "pad",
        # The routers of an adapted model stay as they are, so nothing can balance them.
        balance_loss=0.0 if lora else 0.001,
    )
    recipe = Recipe(
        name="fine-tune",
        base=given.model,
        stages=(stage,),
        held_out=str(given.held_out) if given.held_out else "",
        lora=lora,
        seed=given.seed or 0,
        checkpoint_every=given.save_every or 100,
    )
    return check_recipe(recipe, "train")
