"""Kill ``dvl2 quantize`` at random moments, over and over: a copy is whole or not there.

    python -m tests.reliability.kill_quantize --kills 50 [--to int8]

The source is a golden checkpoint. Most of a short run is spent on imports, so four kills
of five wait until the conversion has begun. After a kill the copy's folder must be absent or
hold every byte that a run which nobody killed writes; a run that gets through must leave
just that, and nothing of an unfinished one.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests import golden_data

ROOT = Path(__file__).parents[2]
SOURCE = golden_data.ROOT / "checkpoints" / "mha"
RUNS_TO_THE_END = 4  # every so many kills one run may finish


@dataclass(slots=True)
class Tally:
    """What the rounds did."""

    kills: int = 0
    finished: int = 0
    left_partial: int = 0
    left_copy: int = 0


class Rounds:
    """A folder for the copy, and what a whole one holds."""

    def __init__(self, scratch: Path, target: str, chance: random.Random) -> None:
        self._scratch, self._chance = scratch, chance
        self._copy = scratch / "copy"
        self._partial = scratch / "copy.partial"
        self._words = [sys.executable, "-m", "dvl2_cli", "quantize", str(SOURCE), "--no-check"]
        self._words += ["--to", target, "-o", str(self._copy)]
        self.tally = Tally()

    def first(self) -> None:
        """One run from nothing; its outcome is what every other must equal."""
        child, began = self._start(), time.monotonic()
        self._wait_for(child, self._partial)
        self._startup = time.monotonic() - began
        self._wait_for(child, self._copy)
        self._work = time.monotonic() - began - self._startup
        self._finish(child)
        self._whole = _hashes(self._copy)
        assert self._whole
        shutil.rmtree(self._copy)

    def kill(self, number: int) -> None:
        """One run, killed at a random moment of its life, or of its work, unless done by then."""
        child = self._start()
        if number % 5:
            self._wait_for(child, self._partial)
            delay = self._chance.uniform(0.0, self._work)
        else:
            delay = self._chance.uniform(0.0, self._startup + self._work)
        try:
            child.communicate(timeout=delay)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            self.tally.kills += 1
            self.tally.left_partial += self._partial.exists()
            self.tally.left_copy += self._copy.exists()
            if self._copy.exists():
                assert _hashes(self._copy) == self._whole, "a half-written copy has its final name"
                shutil.rmtree(self._copy)  # to begin anew
        else:
            self._check(child)
            self.tally.finished += 1
            shutil.rmtree(self._copy)

    def last(self) -> None:
        """One run to its end, from whatever the kills left."""
        child = self._start()
        self._finish(child)
        self.tally.finished += 1
        shutil.rmtree(self._copy)

    def _start(self) -> subprocess.Popen[str]:
        paths = os.pathsep.join((str(ROOT), str(ROOT / "models")))
        environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            self._words, env=environment, stderr=subprocess.PIPE, text=True
        )  # fmt: skip

    def _wait_for(self, child: subprocess.Popen[str], folder: Path) -> None:
        """Until ``folder`` is there and written to, or the copy is, or the child has ended."""
        began = _times(folder)
        while child.poll() is None and not self._copy.exists() and _times(folder) in (began, []):
            time.sleep(0.0005)

    def _finish(self, child: subprocess.Popen[str]) -> None:
        errors = child.communicate()[1]
        assert child.returncode == 0, errors
        self._check(child)

    def _check(self, child: subprocess.Popen[str]) -> None:
        assert child.returncode == 0
        left = {path.name for path in self._scratch.iterdir()} - {"copy.lock"}
        assert left == {"copy"}, left
        if hasattr(self, "_whole"):
            found = _hashes(self._copy)
            names = found.keys() | self._whole.keys()
            other = [name for name in names if found.get(name) != self._whole.get(name)]
            assert not other, f"another content than in a run that nobody killed: {other}"


def _times(folder: Path) -> list[int]:
    """When ``folder`` and what is in it changed last; empty without a folder."""
    try:
        return [path.stat().st_mtime_ns for path in (folder, *folder.iterdir())]
    except OSError:
        return []


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file, hidden ones too: a conversion is repeatable."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def main(kills: int, seed: int, target: str) -> Tally:
    """Run the rounds.

    Raises:
        AssertionError: a half-written copy has its final name, something is left over, or a
            run that goes on ends with other bytes.
    """
    with tempfile.TemporaryDirectory() as folder:
        rounds = Rounds(Path(folder), target, random.Random(seed))
        rounds.first()
        while rounds.tally.kills < kills:
            before = rounds.tally.kills
            rounds.kill(before)
            if rounds.tally.kills > before and rounds.tally.kills % RUNS_TO_THE_END == 0:
                rounds.last()
        rounds.last()
        return rounds.tally


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--to", default="int4")
    chosen = parser.parse_args()
    print(main(chosen.kills, chosen.seed, chosen.to))
