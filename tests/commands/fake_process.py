"""``dvl2`` with the fake engine as a process of its own, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.commands.conftest import picture

ROOT = Path(__file__).resolve().parents[2]
FAKE = ROOT / "tests" / "commands" / "fake_cli.py"


class Process:
    """``dvl2`` against a scripted fake engine; see ``fake_cli`` for what a script has."""

    def __init__(self, folder: Path, **script: Any) -> None:
        self.folder = folder
        self.log = folder / "log"
        script = {"answer": "A picture of {size} pixels.", "log": str(self.log), **script}
        (folder / "script.json").write_text(json.dumps(script), encoding="utf-8")
        self.environment = {
            **os.environ,
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "models"))),
        }

    def command(self, *arguments: object) -> list[str]:
        """The words that start it."""
        script = str(self.folder / "script.json")
        return [sys.executable, str(FAKE), script, *[str(item) for item in arguments]]

    def start(self, *arguments: object, **options: Any) -> subprocess.Popen[bytes]:
        """Start it and do not wait."""
        return subprocess.Popen(
            self.command(*arguments),
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=options.pop("stderr", subprocess.PIPE),
            env=self.environment,
            **options,
        )

    def run(self, *arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
        """Run it to its end; stdout and stderr are captured unless they are given."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 120, **options}
        return subprocess.run(
            self.command(*arguments), env=self.environment, check=False, **options
        )

    def asked(self) -> int:
        """How many requests the engine has had in all runs."""
        return len(self.log.read_text(encoding="utf-8").splitlines()) if self.log.exists() else 0


def folder_of(tmp_path: Path, count: int) -> Path:
    """A folder of ``count`` pictures, each of another size."""
    for index in range(count):
        picture(tmp_path / "in" / f"{index:03}.png", size=(100 + index, 40))
    return tmp_path / "in"
