from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

_TESTS = Path(__file__).parents[1]
_PLACES = (
    _TESTS / "golden" / "checkpoints",
    _TESTS.parents[1] / "shared" / "golden" / "checkpoints",
)


@pytest.fixture
def golden(tmp_path: Path) -> Callable[[str], Path]:
    """A writable copy of one of the golden checkpoints."""

    def copy(name: str) -> Path:
        for place in _PLACES:
            if (place / name / "config.json").is_file():
                target = tmp_path / name
                shutil.copytree(place / name, target, copy_function=shutil.copyfile)
                target.chmod(0o755)
                return target
        pytest.skip(f"the golden checkpoint {name} is not here")

    return copy
