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
from collections.abc import Sequence
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
_AVX2 = ["-mavx2", "-mfma"]
_AVX512 = [*_AVX2, "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni",
           "-mprefer-vector-width=512"]  # fmt: skip
# Sources that need more of the compiler than the platform's baseline.
SPECIAL_FLAGS = {
    "x86_64": {
        "kernels_avx2.cpp": _AVX2,
        "kernels_avx_vnni.cpp": [*_AVX2, "-mavxvnni"],
        "kernels_avx512.cpp": _AVX512,
        "dense_attention_bfloat16.cpp": [*_AVX512, "-mavx512bf16"],
    },
    "aarch64": {
        "kernels_neon_dotprod.cpp": ["-march=armv8.2-a+dotprod"],
        "kernels_neon_i8mm.cpp": ["-march=armv8.2-a+dotprod+i8mm"],
    },
}
_ALIASES = {"amd64": "x86_64", "arm64": "aarch64"}


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
        objects = compile_objects(command, sorted(HERE.glob("*.cpp")), Path(folder))
        linked = Path(folder) / LIBRARY_NAME
        _run([command, "-shared", "-pthread", "-o", str(linked), *map(str, objects)])
        staged = destination.with_name(f".{destination.name}.{os.getpid()}")
        shutil.copyfile(linked, staged)
        staged.replace(destination)
    return destination


def compile_objects(
    command: str, sources: Sequence[Path], folder: Path, machine: str | None = None
) -> list[Path]:
    """Compile each source with its flags.

    Args:
        command: a C++ compiler, of another platform too.
        sources: C++ files; those beside this one have the flags of their instruction set.
        folder: for the object files.
        machine: what the compiler compiles for, as ``platform.machine()``; None for this one.

    Raises:
        BuildError: an error of the compiler.
    """
    name = (machine or platform.machine()).lower()
    special = SPECIAL_FLAGS.get(_ALIASES.get(name, name), {})

    def compile_one(source: Path) -> Path:
        target = folder / f"{source.stem}.o"
        flags = special.get(source.name, [])
        if flags and not _accepts(command, flags):
            flags = []  # an old compiler: the file then offers no kernels
        _run([command, *FLAGS, *flags, f"-I{HERE}", "-c", str(source), "-o", str(target)])
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compile_one, sources))


def _accepts(command: str, flags: Sequence[str]) -> bool:
    arguments = [command, *flags, "-fsyntax-only", "-x", "c++", os.devnull]
    return subprocess.run(arguments, capture_output=True, check=False).returncode == 0  # noqa: S603


def _run(arguments: list[str]) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise BuildError(f"{arguments[0]} failed: {done.stderr.strip()[-2000:]}")


if __name__ == "__main__":
    print(build())
