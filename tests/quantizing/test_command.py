"""``dvl2 quantize`` as a process: killed, out of room, twice at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dvl2_cli.quantizing.journal import JOURNAL
from dvl2_cli.store.checkpoint import check_checkpoint
from dvl2_cli.store.places import nano_folder
from tests import golden_data

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SOURCE = golden_data.ROOT / "checkpoints" / "mha"


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "dvl2_cli", "quantize", *words]


def environment() -> dict[str, str]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "models")])
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


def run(*words: str, limit: str = "") -> subprocess.CompletedProcess[str]:
    words_ = command(*words)
    if limit:
        words_ = ["bash", "-c", f'{limit}; exec "$@"', "bash", *words_]
    return subprocess.run(words_, capture_output=True, text=True, env=environment(), check=False)


@pytest.mark.parametrize("target", ["int4", "int8", "nf4"])
def test_convert_and_compare(tmp_path: Path, target: str) -> None:
    done = run(str(SOURCE), "--to", target, "-o", str(tmp_path / "copy"), "--json")
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert line["made"] is True
    assert line["agreement"]["positions"] > 100
    # Random weights: the distributions are flat, so the divergence says more than the winner.
    assert line["agreement"]["kl"] < {"int4": 0.3, "int8": 0.02, "nf4": 0.5}[target]
    assert "Traceback" not in done.stderr
    assert check_checkpoint(tmp_path / "copy").quant_method is not None


def test_killed_and_run_again(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    words = command(str(SOURCE), "-o", str(copy), "--no-check")
    whole = run(str(SOURCE), "-o", str(tmp_path / "whole"), "--no-check")
    assert whole.returncode == 0, whole.stderr
    process = subprocess.Popen(words, env=environment(), stderr=subprocess.DEVNULL)
    journal = tmp_path / "copy.partial" / JOURNAL
    while process.poll() is None and not (
        journal.exists() and journal.read_text("utf-8").count('"tensor"') > 5
    ):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    again = run(str(SOURCE), "-o", str(copy), "--no-check")
    assert again.returncode == 0, again.stderr
    for path in (tmp_path / "whole").glob("*.safetensors"):
        assert (copy / path.name).read_bytes() == path.read_bytes()


def test_no_room_for_a_file(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    # A file size limit fails the same call as a full disk does.
    done = run(str(SOURCE), "-o", str(copy), "--no-check", limit="ulimit -f 200")
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    assert not copy.exists()
    assert run(str(SOURCE), "-o", str(copy), "--no-check").returncode == 0


def test_a_folder_without_permission(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    done = run(str(SOURCE), "-o", str(tmp_path / "copy"), "--no-check")
    tmp_path.chmod(0o700)
    assert done.returncode == 1
    assert "Permission denied" in done.stderr


def test_two_at_once(tmp_path: Path) -> None:
    words = command(str(SOURCE), "-o", str(tmp_path / "copy"), "--no-check")
    pair = [
        subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    errors = [process.communicate()[1] for process in pair]
    codes = sorted(process.returncode for process in pair)
    # The second either met the lock or came after the first and found the copy.
    assert codes in ([0, 0], [0, 1]), errors
    assert not any("Traceback" in text for text in errors)
    check_checkpoint(tmp_path / "copy")


def test_an_unknown_format(tmp_path: Path) -> None:
    done = run(str(SOURCE), "--to", "int2", "-o", str(tmp_path / "copy"))
    assert done.returncode == 2
    assert "int4, int8, nf4" in done.stderr


def test_nf4_of_float16_weights_computes_in_one_type(tmp_path: Path) -> None:
    nano = nano_folder()
    assert nano is not None
    done = run(str(nano), "--to", "nf4", "-o", str(tmp_path / "copy"), "--json")
    assert done.returncode == 0, done.stderr
    # 69 % of nano's choices are kept: it loses much by four bits.
    assert json.loads(done.stdout)["agreement"]["top1"] > 0.5
    info = check_checkpoint(tmp_path / "copy")
    assert info.config["dtype"] == "bfloat16"
    assert info.tensors["image_newline"].dtype == "BF16"
