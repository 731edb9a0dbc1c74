"""Write random weights of a released model's true shape, as a quantised copy.

    python benchmarks/make_random.py tiny FOLDER [--quant int4|int8] [--companions MODEL_FOLDER]

With tokenizer and processor files copied from another model's folder (--companions), every
dvl2 command runs on the copy; its answers mean nothing.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from dvl2_cli.benchmarking.random_copy import write_random_copy
from dvl2_cli.planning.released import NAMES
from dvl2_cli.sizes import format_size


def main() -> None:
    """Parse the command line and write the copy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", choices=NAMES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quant", choices=("int4", "int8"), default="int4")
    parser.add_argument("--companions", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    start = time.perf_counter()
    size = write_random_copy(
        arguments.shape,
        arguments.folder,
        arguments.quant,
        companions=arguments.companions,
        seed=arguments.seed,
    )
    seconds = time.perf_counter() - start
    print(f"{format_size(size)} in {seconds:.0f} s: {arguments.folder}", file=sys.stderr)


if __name__ == "__main__":
    main()
