"""Every speed and memory figure of README.md, on a machine that does nothing else.

    python benchmarks/run_all.py FOLDER [--only tiny,compare-tiny,...]

Random weights of the three released shapes are written to FOLDER, at most 20 GB at a time, and
removed again; about 20 minutes on two cores. Results go to results/, and from there into
README.md. What fails is named, and the rest is still measured.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tables import RESULTS, write_tables

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Step:
    """One result file: how it is made, from which weights."""

    name: str
    shape: str
    options: tuple[str, ...] = ()
    quant: str = "int4"

    @property
    def weights(self) -> str:
        """The folder that the random weights are in; steps share it."""
        return self.shape if self.quant == "int4" else f"{self.shape}-{self.quant}"


STEPS = (
    Step("tiny", "tiny"),
    Step("compare-tiny", "tiny"),
    Step("tiny-int8", "tiny", quant="int8"),
    Step("small", "small"),
    Step(
        "small-4gb",
        "small",
        ("--max-memory", "4GB", "--answer-tokens", "8", "--prompt-tokens", "64"),
    ),
    Step("compare-small", "small", ("--rounds", "3")),
    Step("27b", "base", ("--answer-tokens", "24")),
    Step(
        "27b-8gb", "base", ("--max-memory", "8GB", "--answer-tokens", "8", "--prompt-tokens", "64")
    ),
)


def run(step: Step, folder: Path) -> bool:
    """Make one result file; False if that failed."""
    target = RESULTS / f"{step.name}.json"
    if step.name.startswith("compare"):
        command = [str(HERE / "compare_llama_cpp.py"), step.shape, str(folder), "--json"]
        return _run([*command, str(target), *step.options], None)
    command = ["-m", "dvl2_cli", "bench", "--shape", step.shape, "--quant", step.quant, "--json"]
    command += ["--weights", str(folder / step.weights), "--plot", str(target.with_suffix(".png"))]
    return _run([*command, *step.options], target)


def _run(arguments: list[str], target: Path | None) -> bool:
    done = subprocess.run(  # noqa: S603
        [sys.executable, *arguments],
        stdout=subprocess.PIPE if target else sys.stderr,
        text=True,
        check=False,
    )
    if done.returncode == 0 and target is not None:
        from dvl2_cli.files import atomic_write

        with atomic_write(target) as stream:
            stream.write(done.stdout)
    return done.returncode == 0


def remove(weights: str, folder: Path) -> None:
    """Remove random weights in both programs' formats."""
    shutil.rmtree(folder / weights, ignore_errors=True)
    (folder / f"{weights}.gguf").unlink(missing_ok=True)


def main() -> None:
    """Parse the command line and run every step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default=",".join(step.name for step in STEPS))
    arguments = parser.parse_args()
    wanted = arguments.only.split(",")
    steps = [step for step in STEPS if step.name in wanted]
    if len(steps) != len(wanted):
        parser.error(f"--only takes {', '.join(step.name for step in STEPS)}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    RESULTS.mkdir(exist_ok=True)
    failed = []
    try:
        for number, step in enumerate(steps):
            start = time.perf_counter()
            if not run(step, arguments.folder):
                failed.append(step.name)
            print(f"{step.name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
            if step.weights not in [later.weights for later in steps[number + 1 :]]:
                remove(step.weights, arguments.folder)
    finally:
        for step in steps:
            remove(step.weights, arguments.folder)
    write_tables()
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
