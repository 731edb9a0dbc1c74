"""float16 weights are held as float32 on a CPU, where few processors calculate in float16."""

from __future__ import annotations

import torch

from dvl2_cli.engine.local.loading import load_model
from dvl2_cli.store.places import nano_folder
from tests.golden_data import ROOT


def test_the_bundled_model_is_widened() -> None:
    folder = nano_folder()
    assert folder is not None
    model = load_model(folder).model
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_other_weights_and_wishes_stay() -> None:
    folder = ROOT / "checkpoints" / "mla"
    stored = load_model(folder).model.language.lm_head.weight.dtype
    assert stored in (torch.float32, torch.bfloat16)
    asked = load_model(folder, dtype=torch.bfloat16).model.language.lm_head.weight.dtype
    assert asked is torch.bfloat16
