from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dvl2_cli.errors import UsageError
from dvl2_cli.finetuning.recipe import Recipe
from nano_lab.pretraining.run import pretrain
from nano_lab.pretraining.weight_averaging import began_folder
from tests.finetuning.conftest import TINY, options
from tests.nano_lab.pretraining.conftest import pretraining_recipe


def averaged(data: Path, share: float, **said: object) -> Recipe:
    return pretraining_recipe(data, {"weight_average": share}, **said)


def trained(recipe: Recipe, out: Path) -> dict[str, Tensor]:
    return load_file(pretrain(recipe, options(out)) / "model.safetensors")


def first_weights() -> dict[str, Tensor]:
    parts = [load_file(path) for path in sorted(TINY.glob("model*.safetensors"))]
    return {name: value for part in parts for name, value in part.items()}


def test_a_stage_leaves_the_mean_of_its_first_and_last_weights(data: Path, tmp_path: Path) -> None:
    first = first_weights()
    last = trained(averaged(data, 0.0, learning_rate=1e-2), tmp_path / "last")
    mean = trained(averaged(data, 0.25, learning_rate=1e-2), tmp_path / "mean")
    moved, apart = 0.0, 0.0
    for name, value in mean.items():
        wanted = 0.25 * first[name].double() + 0.75 * last[name].double()
        moved += float((last[name].double() - first[name].double()).square().sum())
        apart += float((value.double() - wanted).square().sum())
    # Where a gradient is nothing but rounding, Adam still makes a whole step of it.
    assert moved > 0
    assert apart < 1.5e-3 * moved  # the checkpoint is bfloat16
    assert not began_folder(tmp_path / "mean", 0).exists()


def test_all_of_the_first_weights_is_nothing_learned(data: Path, tmp_path: Path) -> None:
    first = first_weights()
    same = trained(averaged(data, 1.0, learning_rate=1e-2), tmp_path / "same")
    assert all(torch.equal(first[name], value) for name, value in same.items())


def test_a_mean_that_was_not_asked_for_at_first_is_refused(data: Path, tmp_path: Path) -> None:
    pretrain(averaged(data, 0.0, steps=1), options(tmp_path / "run"))
    with pytest.raises(UsageError, match="were not kept"):
        pretrain(averaged(data, 0.5, steps=2), options(tmp_path / "run"))
