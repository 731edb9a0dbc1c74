"""Several processes make the same steps as one, and a killed run those of a whole one."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dvl2_cli.finetuning.progress import read_log
from dvl2_cli.finetuning.recipe_file import load_recipe
from dvl2_cli.finetuning.run import train
from dvl2_cli.finetuning.state import NETWORK, states
from tests.finetuning.conftest import options
from tests.golden_data import ROOT

pytestmark = pytest.mark.slow
# The sigmoid router moves its bias by the load of all processes.
RECIPE = f"""
name = "short"
base = "{ROOT / "checkpoints" / "mla-sigmoid"}"
data = "data.jsonl"
checkpoint_every = 2

[[stage]]
name = "one"
steps = 4
learning_rate = 1e-3
warmup = 1
micro_batches = 4
tiles = 1
bias_rate = 0.01

[[stage]]
name = "two"
steps = 2
learning_rate = 1e-3
warmup = 1
train = ["projector", "language"]
packing = "pack"
tiles = 2
tokens = 1024
"""
LAUNCH = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
FLAGS = ("--workers", "0", "--threads", "1", "--dtype", "fp32")


@pytest.fixture
def recipe(data: Path) -> Path:
    path = data.with_name("short.toml")
    path.write_text(RECIPE, "utf-8")
    return path


def _losses(out: Path) -> list[Any]:
    return [record["loss"] for record in read_log(out / "log.jsonl")]


def _assert_equal(found: Path, wanted: Path) -> None:
    assert _losses(found) == pytest.approx(_losses(wanted), abs=2e-5)
    last, other = (load_file(states(out)[-1] / NETWORK) for out in (found, wanted))
    assert last.keys() == other.keys()
    start = load_file(ROOT / "checkpoints" / "mla-sigmoid" / "model.safetensors")
    moved = [other[f"model.{name}"] - value.float() for name, value in start.items()]
    apart = [last[name] - value for name, value in other.items()]
    # Where a gradient is nothing but rounding, Adam still makes a whole step of it.
    assert _norm(apart) < 1e-3 * _norm(moved)


def _norm(tensors: list[Tensor]) -> float:
    return float(torch.stack([tensor.norm() for tensor in tensors]).norm())


def test_two_processes_equal_one(recipe: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    train(load_recipe(recipe), options(one))
    done = subprocess.run(
        [*LAUNCH, "-m", "dvl2_cli", "train", str(recipe), "-o", str(two), *FLAGS],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == [str(two / "model")]
    _assert_equal(two, one)
    loads = [[r.get("expert_load") for r in read_log(out / "log.jsonl")] for out in (one, two)]
    assert loads[0][0] == loads[1][0]
    start = load_file(ROOT / "checkpoints" / "mla-sigmoid" / "model.safetensors")
    name = "language.model.layers.1.mlp.gate.e_score_correction_bias"
    moved = load_file(states(two)[-1] / NETWORK)[f"model.{name}"] - start[name].float()
    assert moved.abs().max() > 0.005


def test_sharded_processes_equal_one_and_resume(recipe: Path, tmp_path: Path) -> None:
    """FSDP2 on the CPU: experts without a token, shared-out biases and moments."""
    short = recipe.with_name("shorter.toml")
    text = RECIPE.partition('[[stage]]\nname = "two"')[0].replace("warmup", "final = 1\nwarmup")
    one, sharded = tmp_path / "one", tmp_path / "sharded"
    text = text.replace("micro_batches = 4", "micro_batches = 2")
    for steps in (1, 2):
        short.write_text(text.replace("steps = 4", f"steps = {steps}"), "utf-8")
        script = str(Path(__file__).with_name("force_fsdp.py"))
        done = subprocess.run(
            [*LAUNCH, script, "train", str(short), "-o", str(sharded), *FLAGS],
            capture_output=True, text=True, timeout=280, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
    train(load_recipe(short), options(one))
    assert _losses(sharded) == pytest.approx(_losses(one), abs=2e-4)
    assert (sharded / "model" / "model.safetensors").is_file()


def test_a_killed_run_goes_on_as_if_nothing_had_happened(recipe: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    command = [sys.executable, "-m", "dvl2_cli", "train", str(recipe), "-o", str(cut), *FLAGS]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        limit = time.monotonic() + 200
        while not states(cut):
            assert process.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (cut / "model").exists()
    train(load_recipe(recipe), options(cut))
    train(load_recipe(recipe), options(whole))
    _assert_equal(cut, whole)
    totals = [record["total"] for record in read_log(cut / "log.jsonl")]
    assert totals == [1, 2, 3, 4, 5, 6]
