"""Recipes of nano: the one that is kept, and what is refused with the key's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from dvl2_cli.errors import UsageError
from dvl2_cli.finetuning.recipe import Recipe
from dvl2_cli.finetuning.recipe_file import load_recipe
from nano_lab.pretraining.recipe import PretrainingStage, check_pretraining, pretraining_stage

NANO = Path(__file__).parents[3] / "models" / "nano_lab" / "recipes" / "nano.toml"
STAGE = '[[stage]]\nname = "a"\nlearning_rate = 1\n'


def load(path: Path) -> Recipe:
    return load_recipe(path, PretrainingStage, check_pretraining)


def _load(folder: Path, text: str) -> Recipe:
    path = folder / "r.toml"
    path.write_text(f'name = "r"\nbase = "nano"\n{text}', "utf-8")
    return load(path)


def test_the_recipe_of_nano_is_read() -> None:
    recipe = load(NANO)
    assert recipe.base == "fresh-nano"
    stages = [pretraining_stage(stage) for stage in recipe.stages]
    assert all(stage.mix and stage.steps and not stage.data for stage in stages)


def test_a_stage_with_a_mix_has_no_data(tmp_path: Path) -> None:
    recipe = _load(
        tmp_path,
        'data = "d.jsonl"\n' + STAGE + "epochs = 2\n"
        + STAGE + "steps = 1\nmix = {chat = 1}\n",
    )  # fmt: skip
    assert [stage.data for stage in recipe.stages] == [str(tmp_path / "d.jsonl"), ""]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (STAGE + "steps = 1", "either mix or data"),
        (STAGE + 'steps = 1\ndata = "d"\nmix = {chat = 1}', "either mix or data"),
        (STAGE + "epochs = 1\nmix = {chat = 1}", "give steps"),
        (STAGE + 'data = "d"\nsteps = 1\nglyph_loss = 1', "only language_loss"),
        (STAGE + "steps = 1\nmix = {chat = 1}\nprefix_branches = 1.5", "prefix_branches must be"),
        (STAGE + "steps = 1\nmix = {chat = 1}\ntrain = []", "parts are vision"),
        (STAGE + "steps = 1\nmix = {chat = 1}\nlanguage_loss = 0\ncell_loss = 1", "go with"),
        (STAGE + "steps = 1\nmix = {chat = 1}\noptimizer = 'sgd'", "optimizer is not one of"),
        (STAGE + "steps = 1\nmix = {chat = 1}\nmix_share = 1", "unknown key mix_share"),
    ],
)
def test_what_no_run_can_carry_out_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        _load(tmp_path, text)
