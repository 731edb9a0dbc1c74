"""Kill ``dvl2 pull`` at random moments, over and over: nothing half-written may count as a model.

    python -m tests.reliability.kill_pull --kills 50

A hub on the loopback serves a model slowly. Each round starts a pull and kills it (SIGKILL)
after a random time; whatever lies in the models folder then must either be no model at all,
or one whose every byte is right. A pull that ends before it is killed is checked, deleted
and begun anew, so that the kills fall on every phase.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hub.server import Hub, serve
from tests.store.tiny_checkpoint import write_checkpoint

ROOT = Path(__file__).parents[2]
DVL2 = (sys.executable, "-m", "dvl2_cli")
MODEL = "owner/killed"
# Above the 10 MB that huggingface_hub holds back before it writes.
_LANGUAGE = {"vocab_size": 400_000}


@dataclass
class Tally:
    """What the rounds did."""

    kills: int = 0
    finished: int = 0
    resumed: int = 0
    left_partial: int = 0
    left_model: int = 0


class Rounds:
    """A models folder, the hub that it is filled from, and what a whole model looks like."""

    def __init__(self, scratch: Path, hub: Hub, quant: str) -> None:
        self._models = scratch / "models"
        self._hub = hub
        self._environment = os.environ | {
            "HF_ENDPOINT": hub.url,
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(scratch / "hub-cache"),
            "DVL2_MODELS": str(self._models),
            "DVL2_CONFIG": str(scratch / "settings.toml"),
            "NO_PROXY": "127.0.0.1,localhost",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'models'}",
        }
        self._command = (*DVL2, "pull", MODEL, "--quant", quant)
        self._whole: dict[str, dict[str, str]] = {}
        self.tally = Tally()

    def first(self) -> float:
        """One pull from nothing; its seconds. Its outcome is what every other must equal."""
        start = time.monotonic()
        self._run(self._command)
        seconds = time.monotonic() - start
        self._whole = {line["quant"]: _hashes(Path(line["folder"])) for line in self._pulled()}
        assert self._whole["none"] == _hashes(self._hub.models[MODEL])
        return seconds

    def kill_after(self, delay: float) -> None:
        """One pull, killed after ``delay`` seconds unless it is done by then."""
        before = len(self._hub.seen)
        child = subprocess.Popen(self._command, env=self._environment, stderr=subprocess.DEVNULL)
        try:
            code = child.wait(timeout=delay)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
            self.tally.kills += 1
            self.tally.left_partial += any(self._models.glob("*/*/*.partial"))
            self.tally.left_model += bool(self.check())
        else:
            assert code == 0, f"a pull that was not killed ended with {code}"
            assert self.check() == self._whole.keys()
            self.tally.finished += 1
            shutil.rmtree(self._models)
        self.tally.resumed += any(seen.range for seen in self._hub.seen[before:])

    def last(self) -> None:
        """One pull to its end, from whatever the kills left."""
        self._run(self._command)
        assert self.check() == self._whole.keys()

    def check(self) -> set[str]:
        """The copies that count as models; every byte of them must be right."""
        copies = self._pulled()
        for line in copies:
            assert _hashes(Path(line["folder"])) == self._whole[line["quant"]], line
            self._run((*DVL2, "show", line["folder"]))
        return {line["quant"] for line in copies}

    def _pulled(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._run((*DVL2, "ls", "--json")).splitlines()]
        return [line for line in lines if line["id"] == MODEL and line["state"] == "pulled"]

    def _run(self, words: tuple[str, ...]) -> str:
        done = subprocess.run(
            words, env=self._environment, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def main(kills: int, seed: int, quant: str) -> Tally:
    """Run the rounds.

    Raises:
        AssertionError: a half-written model counted, or the last pull did not finish.
    """
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        released = write_checkpoint(scratch / "released", shards=2, **_LANGUAGE)
        with serve({MODEL: released}) as hub:
            hub.faults.seconds_per_chunk = 0.004
            rounds = Rounds(scratch, hub, quant)
            longest = rounds.first()
            while rounds.tally.kills < kills:
                rounds.kill_after(chance.uniform(0.2, longest))
            rounds.last()
            return rounds.tally


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every weights file and of config.json: a conversion is repeatable."""
    paths = [folder / "config.json", *sorted(folder.glob("*.safetensors*"))]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quant", default="none")
    chosen = parser.parse_args()
    print(main(chosen.kills, chosen.seed, chosen.quant))
