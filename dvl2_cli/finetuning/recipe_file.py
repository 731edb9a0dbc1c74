"""Recipes read from TOML."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_origin, get_type_hints

from dvl2_cli.errors import InputError, UsageError
from dvl2_cli.finetuning.recipe import Lora, Recipe, Stage, check_recipe
from dvl2_cli.plain_file import read_plain_file
from dvl2_cli.texts import decode_text

_LARGEST = 2**20  # bytes of a recipe


def load_recipe(
    path: Path,
    stage_type: type[Stage] = Stage,
    check: Callable[[Recipe, str], Recipe] = check_recipe,
) -> Recipe:
    """Read and check a recipe, whose stages have the keys of ``stage_type``.

    Raises:
        InputError: the file cannot be read or is not TOML.
        UsageError: naming the key that is missing, unknown or of the wrong kind.
    """
    try:
        table = tomllib.loads(decode_text(read_plain_file(path, _LARGEST)))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from error
    stages = table.pop("stage", None)
    if not isinstance(stages, list) or not stages:
        raise UsageError(f"{path}: no [[stage]] table", hint="A recipe has at least one stage.")
    parsed = tuple(
        _build(stage_type, stage, f"{path}: stage {number}")
        for number, stage in enumerate(stages, 1)
    )
    if "lora" in table:
        table["lora"] = _build(Lora, table["lora"], f"{path}: lora")
    recipe: Recipe = _build(Recipe, {**table, "stages": parsed}, str(path))
    return check(_with_data(recipe, path.parent), str(path))


def _with_data(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with each stage's own data, named from ``folder`` on."""
    stages = []
    for stage in recipe.stages:
        data = stage.data or ("" if getattr(stage, "mix", None) else recipe.data)
        stages.append(dataclasses.replace(stage, data=str(folder / data) if data else ""))
    held_out = str(folder / recipe.held_out) if recipe.held_out else ""
    return dataclasses.replace(recipe, stages=tuple(stages), held_out=held_out)


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
    hints = get_type_hints(kind)
    return kind(
        **{key: _typed(known[key], hints[key], value, where) for key, value in values.items()}
    )


def _typed(item: dataclasses.Field[Any], hint: Any, value: Any, where: str) -> Any:
    """``value`` in the field's type; a whole number does for a float, nothing else converts."""
    if hint is float and type(value) in (int, float):
        return float(value)
    if hint in (int, bool) and type(value) is hint:
        return value
    if (hint is str or get_origin(hint) is Literal) and isinstance(value, str):
        return value
    if hint == tuple[str, ...] and isinstance(value, list):
        return tuple(str(part) for part in value)
    if hint == dict[str, float] and isinstance(value, dict):
        return {str(key): float(share) for key, share in value.items()}
    if isinstance(value, Lora) or (item.name == "stages" and isinstance(value, tuple)):
        return value
    raise UsageError(f"{where}: {item.name} must be {item.type}, not {value!r}")
