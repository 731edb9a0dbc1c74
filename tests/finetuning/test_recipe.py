"""Recipes: what TOML may say, and what is refused with the key's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from dvl2_cli.errors import UsageError
from dvl2_cli.finetuning.recipe import Lora, Recipe
from dvl2_cli.finetuning.recipe_file import load_recipe

STAGE = '[[stage]]\nname = "a"\nlearning_rate = 1\n'


def _load(folder: Path, text: str) -> Recipe:
    path = folder / "r.toml"
    path.write_text(f'name = "r"\nbase = "nano"\n{text}', "utf-8")
    return load_recipe(path)


def test_data_is_found_beside_the_recipe_and_lora_is_a_table(tmp_path: Path) -> None:
    recipe = _load(
        tmp_path,
        'data = "d.jsonl"\nheld_out = "h.jsonl"\nlora = {rank = 8, experts = true}\n'
        + STAGE + "epochs = 2\n" + STAGE + 'steps = 3\ndata = "e.jsonl"\n',
    )  # fmt: skip
    assert recipe.lora == Lora(8, experts=True)
    assert recipe.held_out == str(tmp_path / "h.jsonl")
    wanted = [str(tmp_path / "d.jsonl"), str(tmp_path / "e.jsonl")]
    assert [stage.data for stage in recipe.stages] == wanted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (STAGE + "steps = 1", "name the data"),
        (STAGE + 'data = "d"', "give steps"),
        (STAGE + 'data = "d"\nsteps = 1\nepochs = 1', "give steps"),
        (STAGE + 'data = "d"\nsteps = true', "steps must be int"),
        ("lora = {rank = 0}\n" + STAGE + 'data = "d"\nsteps = 1', "rank of lora"),
        ("lora = {}\n" + STAGE + 'data = "d"\nsteps = 1', "missing key rank"),
        ("lora = {rank = 4, experts = 1}\n" + STAGE + 'data = "d"\nsteps = 1', "must be bool"),
        ('lora = {rank = 4}\n' + STAGE + 'data="d"\nsteps=1\ntrain=["vision"]', "hold language"),
        (STAGE + 'data = "d"\nsteps = 1\nwarm = 2', "unknown key warm"),
        (STAGE + 'data = "d"\nsteps = 1\nmix = {chat = 1}', "unknown key mix"),
        (STAGE + 'data = "d"\nsteps = 1\nschedule = "step"', "schedule is not one of"),
        (STAGE + 'data = "d"\nsteps = 1\ntrain = []', "parts are vision"),
    ],
)  # fmt: skip
def test_what_no_run_can_carry_out_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        _load(tmp_path, text)
