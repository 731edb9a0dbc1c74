"""The wheel and the sdist: built, installed into a fresh environment, and run there."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NANO = ROOT / "models" / "dvl2_nano"
LAB = ROOT / "models" / "nano_lab"

pytestmark = pytest.mark.slow


def run(*words: str | Path, cwd: Path) -> str:
    # Nothing of the checkout or of this environment's settings may leak in.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "DVL2_", "COVERAGE"))
    }
    done = subprocess.run(
        list(map(str, words)),
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel (made from the sdist, as an index would) and the sdist."""
    folder = tmp_path_factory.mktemp("built")
    code = (
        "import sys\nfrom hatchling import build\nprint(getattr(build, sys.argv[1])(sys.argv[2]))"
    )
    sdist = folder / run(sys.executable, "-c", code, "build_sdist", folder, cwd=ROOT).split()[-1]
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    unpacked = folder / sdist.name.removesuffix(".tar.gz")
    wheel = run(sys.executable, "-c", code, "build_wheel", folder, cwd=unpacked).split()[-1]
    return folder / wheel, sdist


@pytest.fixture(scope="module")
def environment(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with only the wheel; its dependencies are borrowed."""
    folder = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    site = Path(
        run(
            python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder
        ).strip()
    )
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    run(*pip, "--no-deps", "--no-index", built[0], cwd=folder)
    borrowed = [path for path in sys.path if path.endswith("site-packages")]
    # Appended after the fresh environment's own packages; editable installs are not followed,
    # because their .pth files are only read from a real site folder.
    (site / "borrowed.pth").write_text("\n".join(borrowed) + "\n", encoding="utf-8")
    return folder / "venv"


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_what_it_should(built: tuple[Path, Path]) -> None:
    found = names(built[0])
    tops = {name.split("/")[0] for name in found if not name.startswith("dvl2-")}
    assert tops - {"dvl2_nano"} == {"dvl2_cli", "deepseek_vl_v2"}
    assert any(name.endswith("licenses/LICENSE") for name in found)
    assert not [name for name in found if "__pycache__" in name or name.endswith((".pyc", ".pt"))]
    expected = {
        path.relative_to(ROOT).as_posix().removeprefix("models/")
        for folder in ("dvl2_cli", "models/deepseek_vl_v2")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".cpp", ".h", ".md", ".toml", ".json")
    }
    assert expected <= found
    assert not [name for name in found if "nano_lab" in name]
    assert any(name.endswith(".data/data/share/man/man1/dvl2.1") for name in found)
    assert built[0].stat().st_size < 60e6


@pytest.mark.skipif(not (NANO / "config.json").exists(), reason="nano is not trained yet")
def test_nano_is_in_the_wheel(built: tuple[Path, Path]) -> None:
    found = names(built[0])
    for name in ("config.json", "tokenizer.json", "processor_config.json", "LICENSE"):
        assert f"dvl2_nano/{name}" in found
    assert any(name.startswith("dvl2_nano/") and name.endswith(".safetensors") for name in found)


def test_the_sdist_holds_what_a_build_and_its_tests_need(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[1]) as archive:
        found = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "constraints.txt"} <= found
    assert "models/deepseek_vl_v2/__init__.py" in found
    lab = {path.relative_to(ROOT).as_posix() for path in LAB.rglob("*.py")}
    assert lab
    assert lab <= found
    assert {"models/nano_lab/recipes/nano.toml", "models/nano_lab/LOG.md"} <= found


def test_the_command_runs_where_it_is_installed(environment: Path, tmp_path: Path) -> None:
    out = run(environment / "bin" / "dvl2", "--help", cwd=tmp_path)
    assert "chat" in out
    assert run(environment / "bin" / "dvl2", "--version", cwd=tmp_path).startswith("dvl2 ")


def test_no_module_called_models_is_installed(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text("mine = True\n", encoding="utf-8")
    code = "import models, dvl2_cli.app; assert models.mine; print(dvl2_cli.__file__)"
    out = run(environment / "bin" / "python", "-c", code, cwd=tmp_path)
    assert Path(out.strip()).is_relative_to(environment)


@pytest.mark.skipif(not (NANO / "config.json").exists(), reason="nano is not trained yet")
def test_nano_is_found_where_it_is_installed(environment: Path, tmp_path: Path) -> None:
    out = run(environment / "bin" / "dvl2", "show", "nano", cwd=tmp_path)
    folder = next(line.split("\t")[1] for line in out.splitlines() if line.startswith("folder"))
    assert Path(folder).is_relative_to(environment)
