"""CPU seconds until dvl2 answers: cold, planned and by a warm model; and imports by package.

    python benchmarks/startup.py [CHECKOUT...]

With several checkouts their rounds alternate, so that a busy machine is busy for all of them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

_LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| +(\S+)")
_SHOWN = 12  # packages
# -P: not the code of the folder in which this is run.
_DVL2 = (sys.executable, "-P", "-m", "dvl2_cli")
_ENGINE = "from dvl2_cli.engine.local import engine, loading"
_NANO = ("-q", "-m", "nano")
_ANSWER = ("-p", "What is this?", "--max-tokens", "1", "--no-history")


def commands(picture: str) -> dict[str, tuple[str, ...]]:
    """What is measured, by name; ``picture`` is a small one."""
    return {
        "ocr of one small picture": (*_DVL2, "ocr", *_NANO, picture),
        "chat -p, one token": (*_DVL2, "chat", *_NANO, picture, *_ANSWER),
        "ocr --plan": (*_DVL2, "ocr", *_NANO, picture, "--plan"),
        "importing the engine": (sys.executable, "-P", "-c", _ENGINE),
        "importing torch": (sys.executable, "-c", "import torch"),
        "--help": (*_DVL2, "--help"),
    }


def warm_commands(picture: str) -> dict[str, tuple[str, ...]]:
    """What is measured of the clients of a warm model."""
    every = commands(picture)
    return {f"{name}, warm": every[name] for name in list(every)[:2]}


def cpu_seconds(command: tuple[str, ...], environment: dict[str, str]) -> float:
    """User and system seconds of one process, and of those that it waited for.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)  # noqa: S603
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise subprocess.CalledProcessError(process.returncode, command, said.read())
    return usage.ru_utime + usage.ru_stime


def measure(
    trees: list[dict[str, str]], measured: dict[str, tuple[str, ...]], rounds: int
) -> dict[str, list[float]]:
    """By name the least seconds of several rounds in the environment of each tree."""
    least = {name: [float("inf")] * len(trees) for name in measured}
    for _ in range(rounds):
        for name, command in measured.items():
            for number, environment in enumerate(trees):
                found = cpu_seconds(command, environment)
                least[name][number] = min(least[name][number], found)
    return least


@contextlib.contextmanager
def warm(environment: dict[str, str]) -> Iterator[None]:
    """A model that is kept warm meanwhile."""
    command = (*_DVL2, "serve", *_NANO, "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as server:  # noqa: S603
        assert server.stdout is not None  # noqa: S101  it is a pipe
        server.stdout.readline()
        try:
            yield
        finally:
            server.terminate()


def environment_of(tree: Path, home: Path) -> dict[str, str]:
    """For processes that run the code of ``tree``, with no settings of the user's."""
    home.mkdir(mode=0o700)
    folders = {f"XDG_{name}": str(home) for name in ("CONFIG_HOME", "STATE_HOME", "RUNTIME_DIR")}
    paths = os.pathsep.join((str(tree), str(tree / "models")))
    # Each its own cache of compiled modules, which is full after the first round.
    return {**os.environ, **folders, "HOME": str(home), "PYTHONPATH": paths}


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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", nargs="*", type=Path, default=[Path(__file__).parents[1]])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    checkouts = [path.resolve() for path in given.checkouts]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as servers:
        picture = str(Path(folder) / "blank.png")
        Image.new("RGB", (384, 384), "white").save(picture)
        trees = [
            environment_of(tree, Path(folder) / str(number))
            for number, tree in enumerate(checkouts)
        ]
        rows = measure(trees, commands(picture), given.rounds)
        for environment in trees:
            servers.enter_context(warm(environment))
        rows |= measure(trees, warm_commands(picture), given.rounds)
    for name, seconds in rows.items():
        print(f"{name:32}" + "".join(f"{found:8.2f}" for found in seconds))
    print("\nseconds of imports for the engine, by package:")
    for package, found in import_seconds(_ENGINE).most_common(_SHOWN):
        print(f"  {package:20} {found:.2f}")


if __name__ == "__main__":
    main()
