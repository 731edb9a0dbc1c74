"""Which device a copy runs on, on a machine that is said to have a CUDA device."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dvl2_cli.engine.local.placement import usable_device
from dvl2_cli.engine.opening import open_engine
from dvl2_cli.engine.session import Session
from dvl2_cli.errors import UsageError
from dvl2_cli.options import CommonOptions
from dvl2_cli.quantizing.quantize import Format, quantize_model
from dvl2_cli.ui.console import Console
from tests import golden_data


@pytest.fixture(autouse=True)
def a_cuda_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    source = golden_data.ROOT / "checkpoints" / "mha"
    return quantize_model(source, Format.int4, tmp_path / "copy", lambda done, total: None).folder


def test_a_packed_copy_runs_on_the_cpu_and_that_is_said_once(
    packed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = CommonOptions(model=str(packed))
    engine = open_engine(Session(common, Console(common).tell))
    assert engine.info.device == "cpu"
    assert "packed for the CPU" in engine.info.reason
    said = [line for line in capsys.readouterr().err.splitlines() if "not on cuda" in line]
    assert said == ["dvl2: the int4 copy runs on the CPU, not on cuda: it is packed for the CPU"]


def test_who_asks_for_the_device_is_told_why_not(packed: Path) -> None:
    with pytest.raises(UsageError, match="is packed for the CPU, and --device is cuda"):
        open_engine(Session(CommonOptions(model=str(packed), device="cuda", quiet=True)))


def test_plain_weights_take_the_device() -> None:
    assert usable_device("auto").name == "cuda"
    assert usable_device("cpu").name == "cpu"
