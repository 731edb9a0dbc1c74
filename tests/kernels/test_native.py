"""Every path of the kernels against plain C++, and those of other processors in an emulator."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from deepseek_vl_v2.kernels import build

CHECK = Path(__file__).parent / "native" / "check.cpp"
ARM_COMPILER, ARM_EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
UNITS = {"products.cpp"}


def built(compiler: str, folder: Path, machine: str | None, *link: str) -> Path:
    sources = [
        path
        for path in sorted(build.HERE.glob("*.cpp"))
        if path.name in UNITS or path.name.startswith(("kernels_", "dense_attention"))
    ]
    objects = build.compile_objects(compiler, [*sources, CHECK], folder, machine)
    program = folder / "check"
    subprocess.run([compiler, "-pthread", *link, "-o", program, *objects], check=True)
    return program


def emulated_vnni(compiler: str, folder: Path) -> Path:
    """The program once more, with AVX-VNNI's one instruction written out in C++."""
    flags = [*build.FLAGS, *build.SPECIAL_FLAGS["x86_64"]["kernels_avx2.cpp"]]
    source, target = build.HERE / "kernels_avx_vnni.cpp", folder / "kernels_avx_vnni.o"
    define = "-DDVL2_EMULATE_AVX_VNNI"
    subprocess.run([compiler, *flags, define, "-c", source, "-o", target], check=True)
    program = folder / "emulated"
    objects = sorted(folder.glob("*.o"))
    subprocess.run([compiler, "-pthread", "-o", program, *objects], check=True)
    return program


def paths_that_ran(*command: str | Path) -> dict[str, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_every_path_of_this_processor_is_right(compiler: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    found = paths_that_ran(built(compiler, tmp_path, None))
    assert found["scalar"] == "right"
    assert set(found.values()) <= {"right", "not on this processor"}
    if found.get("avx2") == "right" and found["avx-vnni"] != "right":
        assert paths_that_ran(emulated_vnni(compiler, tmp_path))["avx-vnni"] == "right"


@pytest.mark.slow
def test_every_arm_path_is_right_in_an_emulator(tmp_path: Path) -> None:
    for tool in (ARM_COMPILER, ARM_EMULATOR):
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool}")
    program = built(ARM_COMPILER, tmp_path, "aarch64", "-static")
    assert set(paths_that_ran(ARM_EMULATOR, "-cpu", "max", program).values()) == {"right"}
    # A processor of 2015 has none of the extensions, and must not be offered them.
    assert paths_that_ran(ARM_EMULATOR, "-cpu", "cortex-a53", program)["scalar"] == "right"


def test_a_compiler_without_an_extension_still_builds(tmp_path: Path) -> None:
    compiler = build.compiler()
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    assert not build._accepts(compiler, ["-mno-such-extension"])
    assert build._accepts(compiler, ["-O1"])
