"""Kill ``dvl2 caption`` and ``dvl2 ocr`` at random moments of a batch, over and over.

    python -m tests.reliability.kill_batch --kills 50 [--engine real]

Each round takes a fresh folder of inputs (pictures, a document, a broken file) and runs one
of several commands, killed (SIGKILL) after a random time and started again until it gets
through. After every kill each file that can be seen must be whole; at the end every byte of
every output must be what a run that nobody killed writes, so that no row is lost, repeated
or half-written, and nothing else may be left.

The fake engine answers at once, so that the kills fall on the work of the commands. With
``--engine real`` the bundled model answers.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.commands.fake_process import ROOT, Process, folder_of

OLD = b"written by hand\n"
PICTURES = 8
KILLS_IN_A_ROUND = 4
# What a run's own machinery leaves beside its results.
_MACHINERY = ("in", "log", "script.json", "state", "config")
_SECONDS = re.compile(rb'"seconds":[0-9.e-]+')


@dataclass(frozen=True, slots=True)
class Batch:
    """One way to use the commands on the folder "in"; ``adds`` to files that exist."""

    arguments: tuple[str, ...]
    adds: bool = False


BATCHES = (
    Batch(("caption", "in", "-o", "rows.ndjson")),
    Batch(("caption", "in", "-o", "rows.csv", "--sidecar", ".txt", "--existing", "append"), True),
    Batch(("caption", "in", "--sidecar", ".caption", "--xmp", "--parallel", "3")),
    Batch(("ocr", "in", "-o", "pages", "-f", "md")),
    Batch(("ocr", "in", "--fields", "total,date")),
)


@dataclass(slots=True)
class Tally:
    """What the rounds did."""

    kills: int = 0
    rounds: int = 0
    asked_again: int = 0
    left_partial: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left: its exit code (None: killed), stdout, and every visible file by its path."""

    code: int | None
    output: bytes
    files: dict[str, bytes]


class Round:
    """A fresh folder of inputs and the command that works on it."""

    def __init__(self, folder: Path, batch: Batch, engine: str) -> None:
        folder.mkdir()
        inside = folder_of(folder, PICTURES)
        (inside / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
        pages = [Image.new("RGB", (60 + index, 80), "white") for index in range(3)]
        pages[0].save(inside / "document.tiff", save_all=True, append_images=pages[1:])
        if batch.adds:
            for path in inside.glob("*.png"):
                path.with_suffix(".txt").write_bytes(OLD)
        self.folder, self.batch = folder, batch
        self.process = Process(folder, delay=0.06)
        self._inputs = {path.name for path in inside.iterdir()}
        self._words = self.process.command(*batch.arguments)
        if engine == "real":
            dvl2 = [sys.executable, "-m", "dvl2_cli", *batch.arguments]
            self._words = [*dvl2, "-m", "nano", "--max-tokens", "6", "--tiles", "0"]

    def run(self, seconds: float | None = None) -> Outcome:
        """One run, killed after ``seconds`` if it is not through by then."""
        environment = {
            **self.process.environment,
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "DVL2_CONFIG": str(self.folder / "none.toml"),
            "XDG_RUNTIME_DIR": str(self.folder),
        }
        child = subprocess.Popen(
            self._words, cwd=self.folder, env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        code: int | None = None
        try:
            output, errors = child.communicate(timeout=seconds)
            code = child.returncode
        except subprocess.TimeoutExpired:
            child.kill()
            output, errors = child.communicate()
        assert b"Traceback" not in errors, errors.decode()
        return Outcome(code, _timeless(output), self.files())

    def files(self) -> dict[str, bytes]:
        """Every visible output file; inputs that a command may change are outputs too."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder)
            hidden = any(part.startswith(".") for part in name.parts)
            own = name.parts[0] in _MACHINERY and name.parts[0] != "in"
            untouched = name.parts[0] == "in" and name.suffix in (".png", ".jpg", ".tiff")
            if path.is_file() and not (hidden or own or untouched):
                found[str(name)] = _timeless(path.read_bytes())
        return found

    def leftovers(self) -> list[str]:
        """Hidden files beside the outputs, and journals in the state folder."""
        hidden = [path for path in self.folder.rglob(".*") if path.is_file()]
        kept = [path for path in (self.folder / "state").rglob("*") if path.is_file()]
        return [str(path) for path in hidden + kept]


class Trial:
    """Rounds of one batch, against what a run that nobody killed writes."""

    def __init__(self, scratch: Path, batch: Batch, engine: str, chance: random.Random) -> None:
        self._scratch, self._batch, self._engine, self._chance = scratch, batch, engine, chance
        first = Round(scratch / "whole", batch, engine)
        self._before = first.files()
        started = time.monotonic()
        self._wanted = first.run()
        self._seconds = time.monotonic() - started
        self._asked = first.process.asked()
        assert not first.leftovers()
        assert self._wanted.output or len(self._wanted.files) > len(self._before)

    def round(self, tally: Tally, kills: int) -> None:
        """Start and kill until one run gets through, or ``kills`` are reached and one may.

        Raises:
            AssertionError: something was lost, repeated or half-written, or is left over.
        """
        tally.rounds += 1
        before = tally.kills
        here = Round(self._scratch / f"round{tally.rounds}", self._batch, self._engine)
        while True:
            seconds = self._chance.uniform(0.5, 1.1) * self._seconds
            started = time.monotonic()
            outcome = here.run(seconds if tally.kills < kills else None)
            if outcome.code is not None:
                # The machine may be less busy than it was at first: kill earlier from now on.
                self._seconds = min(self._seconds, time.monotonic() - started)
                break
            tally.kills += 1
            tally.left_partial += bool(here.leftovers())
            self._check_prefix(outcome)
            if self._is_through(here, outcome):
                break
        wanted = dataclasses.replace(self._wanted, code=outcome.code)
        assert outcome == wanted, _difference(outcome, wanted)
        assert outcome.code in (None, self._wanted.code)
        assert not here.leftovers(), here.leftovers()
        again = here.process.asked() - self._asked
        # An answer is asked for again only if it was being given when the kill came.
        together = 3 if "--parallel" in self._batch.arguments else 1
        assert again <= together * (tally.kills - before), (again, tally.kills - before)
        tally.asked_again += again

    def _check_prefix(self, killed: Outcome) -> None:
        """After a kill each file is as before or as it is to be, and rows came in order."""
        for name, data in killed.files.items():
            allowed = (self._wanted.files.get(name), self._before.get(name))
            assert data in allowed, f"{name} is half-written: {data!r}"
        assert self._wanted.output.startswith(killed.output)

    def _is_through(self, here: Round, killed: Outcome) -> bool:
        """Whether a killed run had done everything, so that a new one would start anew."""
        same = killed.files == self._wanted.files and killed.output == self._wanted.output
        # The journal goes first: an empty lock may be left, which nobody holds.
        left = [path for path in here.leftovers() if not path.endswith(".lock")]
        for path in set(here.leftovers()) - set(left):
            Path(path).unlink()
        return same and not left


def _timeless(data: bytes) -> bytes:
    """``data`` without the seconds that answers took."""
    return _SECONDS.sub(b'"seconds":0', data)


def _difference(outcome: Outcome, wanted: Outcome) -> str:
    names = {name for name in outcome.files | wanted.files
             if outcome.files.get(name) != wanted.files.get(name)}  # fmt: skip
    return json.dumps({
        "codes": [outcome.code, wanted.code],
        "files": sorted(names),
        "output": [outcome.output.decode(), wanted.output.decode()],
    })  # fmt: skip


def main(kills: int, seed: int, engine: str = "fake") -> Tally:
    """Run rounds of every batch in turn until there were ``kills``.

    Raises:
        AssertionError: see ``Trial.round``.
    """
    chance = random.Random(seed)
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        trials = []
        for index, batch in enumerate(BATCHES):
            scratch = Path(folder, str(index))
            scratch.mkdir()
            trials.append(Trial(scratch, batch, engine, chance))
        while tally.kills < kills:
            for trial in trials:
                trial.round(tally, min(kills, tally.kills + KILLS_IN_A_ROUND))
    return tally


if __name__ == "__main__":
    os.chdir(ROOT)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("fake", "real"), default="fake")
    chosen = parser.parse_args()
    print(main(chosen.kills, chosen.seed, chosen.engine))
