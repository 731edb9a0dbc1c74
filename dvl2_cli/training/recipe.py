"""A recipe: the model to start from and the stages that it goes through, read from TOML.

The paper's three stages are three ``[[stage]]`` tables: stage 1 trains ``vision`` and
``projector``, stage 2 everything on mixed data, stage 3 answers of conversations. Nano adds
a stage before them, with ``tower = "windows"`` and only the dense loss.
"""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from dvl2_cli.errors import InputError, UsageError

Schedule = Literal["constant", "cosine", "wsd"]
Tower = Literal["full", "windows"]
Packing = Literal["pad", "pack"]
Optimizer = Literal["adamw", "muon"]
# The parts of the model that a stage may train.
PARTS = ("vision", "projector", "language")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage; weights of losses, learning rate and data are constant but for the schedule.

    ``mix`` maps kinds of rendered pictures to their share, and is empty for a dataset.
    ``tokens`` bounds a micro-batch (text and image tokens, padding included) and ``tiles``
    the pictures' tiles; ``micro_batches`` of them, over all processes, make a step.
    """

    name: str
    steps: int
    learning_rate: float
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
    pointer_loss: float = 0.0
    language_loss: float = 1.0
    balance_loss: float = 0.001
    bias_rate: float = 0.001
    mix: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Stages in order. ``base`` is a checkpoint, or "fresh-nano" for nano's architecture."""

    name: str
    base: str
    stages: tuple[Stage, ...]
    seed: int = 0
    checkpoint_every: int = 200
    evaluate_every: int = 0
    clip: float = 1.0


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        InputError: the file cannot be read or is not TOML.
        UsageError: naming the key that is missing, unknown or of the wrong kind.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from error
    stages = table.pop("stage", None)
    if not isinstance(stages, list) or not stages:
        raise UsageError(f"{path}: no [[stage]] table", hint="A recipe has at least one stage.")
    parsed = tuple(
        _build(Stage, stage, f"{path}: stage {number}") for number, stage in enumerate(stages, 1)
    )
    recipe: Recipe = _build(Recipe, {**table, "stages": parsed}, str(path))
    return recipe


def check_stage(stage: Stage, where: str) -> None:
    """Refuse values that no run can carry out.

    Raises:
        UsageError: naming the key and what it may be.
    """
    unknown = [part for part in stage.train if part not in PARTS]
    if unknown or not stage.train:
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
    for key in ("steps", "micro_batches", "tokens", "tiles"):
        if getattr(stage, key) < 1:
            raise UsageError(f"{where}: {key} must be at least 1")
    for key in ("learning_rate", "warmup", "decay", "final", "weight_decay"):
        if getattr(stage, key) < 0:
            raise UsageError(f"{where}: {key} must not be negative")
    if any(share < 0 for share in stage.mix.values()) or (
        stage.mix and not sum(stage.mix.values())
    ):
        raise UsageError(f"{where}: shares of mix must be positive")


def _build(kind: Any, values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise UsageError(f"{where} is not a table")
    known = {item.name: item for item in dataclasses.fields(kind)}
    for key in values:
        if key not in known:
            raise UsageError(f"{where}: unknown key {key}", hint=f"Keys: {', '.join(known)}")
    for item in known.values():
        required = (
            item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        )
        if required and item.name not in values:
            raise UsageError(f"{where}: missing key {item.name}")
    cleaned = {key: _typed(known[key], value, where) for key, value in values.items()}
    built = kind(**cleaned)
    if isinstance(built, Stage):
        check_stage(built, where)
    return built


def _typed(item: dataclasses.Field[Any], value: Any, where: str) -> Any:
    """``value`` in the field's type; a whole number does for a float, nothing else converts."""
    wanted = str(item.type)
    if wanted == "float" and type(value) in (int, float):
        return float(value)
    if wanted == "int" and type(value) is int:
        return value
    if wanted in ("str", "Optimizer", "Schedule", "Tower", "Packing") and isinstance(value, str):
        return value
    if wanted == "tuple[str, ...]" and isinstance(value, list):
        return tuple(str(part) for part in value)
    if wanted.startswith("tuple[Stage") and isinstance(value, tuple):
        return value
    if wanted.startswith("dict") and isinstance(value, dict):
        return {str(key): float(share) for key, share in value.items()}
    raise UsageError(f"{where}: {item.name} must be {wanted}, not {value!r}")
