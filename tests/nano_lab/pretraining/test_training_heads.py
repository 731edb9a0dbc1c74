from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from dvl2_cli.errors import ModelError
from dvl2_cli.finetuning.state import NETWORK
from nano_lab.pretraining.run import pretrain
from nano_lab.pretraining.training_heads import FILE_NAME, load_heads, save_heads
from tests.finetuning.conftest import options
from tests.nano_lab.pretraining.conftest import pretraining_recipe


class Network(nn.Module):
    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.model = nn.Linear(2, 2)
        self.object_head = nn.Linear(2, classes)
        self.position_head = nn.Linear(2, 5)


def kept(folder: Path, network: nn.Module) -> Path:
    """The heads of ``network`` in a model's folder."""
    state, model = folder / "state", folder / "model"
    state.mkdir()
    model.mkdir()
    save_file(network.state_dict(), state / NETWORK)
    save_heads(model, state)
    return model


def test_heads_go_on_and_the_model_is_left_alone(tmp_path: Path) -> None:
    old, new = Network(), Network()
    before = new.model.weight.clone()
    load_heads(kept(tmp_path, old), new)
    assert torch.equal(new.object_head.weight, old.object_head.weight.half().float())
    assert torch.equal(new.position_head.bias, old.position_head.bias.half().float())
    assert torch.equal(new.model.weight, before)


def test_heads_of_another_shape_begin_anew(tmp_path: Path) -> None:
    old, new = Network(), Network(classes=4)
    before = new.object_head.weight.clone()
    load_heads(kept(tmp_path, old), new)
    assert torch.equal(new.object_head.weight, before)
    assert torch.equal(new.position_head.bias, old.position_head.bias.half().float())


def test_a_file_cannot_replace_the_models_weights(tmp_path: Path) -> None:
    model = kept(tmp_path, Network())
    weights = load_file(model / FILE_NAME) | {"model.weight": torch.ones(2, 2)}
    save_file(weights, model / FILE_NAME)
    network = Network()
    load_heads(model, network)
    assert not torch.equal(network.model.weight, torch.ones(2, 2))


def test_a_broken_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no heads")
    with pytest.raises(ModelError, match="cannot read the heads"):
        load_heads(tmp_path, Network())


def test_models_without_heads_have_no_such_file(data: Path, tmp_path: Path) -> None:
    model = pretrain(pretraining_recipe(data, steps=1), options(tmp_path / "run"))
    assert not (model / FILE_NAME).exists()
    load_heads(model, Network())
