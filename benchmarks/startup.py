"""CPU seconds until dvl2 answers: of a cold ``ocr``, and of what it imports, by package.

python benchmarks/startup.py
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from PIL import Image

_LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| +(\S+)")
_ROUNDS = 3
_SHOWN = 12  # packages
_ENGINE = "from dvl2_cli.engine.local import engine, loading"


def cpu_seconds(command: list[str]) -> float:
    """User and system seconds of a process, the least of several runs.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    least = float("inf")
    for _ in range(_ROUNDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        least = min(least, spent)
    return least


def import_seconds(code: str) -> Counter[str]:
    """Seconds that ``code`` spends on importing, by top-level package."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-X", "importtime", "-c", code],
        check=True,
        capture_output=True,
        text=True,
    )
    seconds: Counter[str] = Counter()
    for micros, module in _LINE.findall(done.stderr):
        seconds[module.split(".")[0]] += int(micros) / 1e6
    return seconds


def main() -> None:
    """Print the figures."""
    dvl2 = [sys.executable, "-m", "dvl2_cli"]
    with tempfile.TemporaryDirectory() as folder:
        picture = str(Path(folder) / "blank.png")
        Image.new("RGB", (384, 384), "white").save(picture)
        ocr = [*dvl2, "ocr", "-q", picture]
        for name, command in (
            ("ocr of one small picture", ocr),
            ("ocr --plan", [*ocr, "--plan"]),
            ("importing the engine", [sys.executable, "-c", _ENGINE]),
            ("importing torch", [sys.executable, "-c", "import torch"]),
            ("--help", [*dvl2, "--help"]),
        ):
            print(f"{name}: {cpu_seconds(command):.2f} CPU s")
    print("\nseconds of imports for the engine, by package:")
    for package, seconds in import_seconds(_ENGINE).most_common(_SHOWN):
        print(f"  {package:20} {seconds:.2f}")


if __name__ == "__main__":
    main()
