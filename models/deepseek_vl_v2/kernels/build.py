"""Compiles the kernels into one library beside this file.

Each instruction set is a file of its own with its own flags, and the fastest that the
processor runs is chosen when the library is loaded; so the library is portable within the
platform it was built for. Used by the install hook, and by ``python -m
deepseek_vl_v2.kernels.build`` in a checkout. Imports nothing but the standard library.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
LIBRARY_NAME = "libdvl2_kernels" + {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
FLAGS = [
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-pthread",
    "-fvisibility=default",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-Wno-psabi",
]
AVX2_FLAGS = ["-mavx2", "-mfma"]
AVX512_FLAGS = ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni"]
WIDE_FLAGS = [*AVX2_FLAGS, *AVX512_FLAGS, "-mprefer-vector-width=512"]
X86_FLAGS = {
    "kernels_avx2.cpp": AVX2_FLAGS,
    "kernels_avx512.cpp": WIDE_FLAGS,
    "dense_attention.cpp": [*WIDE_FLAGS, "-mavx512bf16"],
}


class BuildError(RuntimeError):
    """No compiler was found, or it failed; the message ends with what it said."""


def compiler() -> str | None:
    """The C++ compiler: $CXX, else g++, clang++ or c++; None where there is none."""
    names = [os.environ.get("CXX", ""), "g++", "clang++", "c++"]
    return next((found for name in names if name and (found := shutil.which(name))), None)


def build(destination: Path = HERE / LIBRARY_NAME) -> Path:
    """Compile the sources beside this file; the library appears whole or not at all.

    Raises:
        BuildError: no compiler, or an error of the compiler.
    """
    command = compiler()
    if command is None:
        raise BuildError("no C++ compiler was found ($CXX, g++, clang++, c++)")
    with tempfile.TemporaryDirectory(prefix="dvl2-kernels-") as folder:
        sources = sorted(HERE.glob("*.cpp"))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(lambda path: _compile(command, path, Path(folder)), sources))
        linked = Path(folder) / LIBRARY_NAME
        _run([command, "-shared", "-pthread", "-o", str(linked), *map(str, objects)])
        staged = destination.with_name(f".{destination.name}.{os.getpid()}")
        shutil.copyfile(linked, staged)
        staged.replace(destination)
    return destination


def _compile(command: str, source: Path, folder: Path) -> Path:
    special = X86_FLAGS.get(source.name, [])
    if platform.machine().lower() not in ("x86_64", "amd64"):
        special = []
    target = folder / f"{source.stem}.o"
    _run([command, *FLAGS, *special, "-c", str(source), "-o", str(target)])
    return target


def _run(arguments: list[str]) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise BuildError(f"{arguments[0]} failed: {done.stderr.strip()[-2000:]}")


if __name__ == "__main__":
    print(build())
