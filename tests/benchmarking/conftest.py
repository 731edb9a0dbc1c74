"""Random weights of a small shape, so that the benchmark's own code can be tested."""

import json
from pathlib import Path

import pytest

from dvl2_cli.benchmarking import random_copy

GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoints" / "mla"


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = json.loads((GOLDEN / "config.json").read_text(encoding="utf-8"))
    monkeypatch.setattr(random_copy, "released_config", lambda shape: config)
    random_copy.write_random_copy("tiny", tmp_path / "copy", companions=GOLDEN)
    return tmp_path / "copy"
