"""Plots of a run, from its log alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dvl2_cli.errors import InputError
from dvl2_cli.finetuning.plots import binned, draw


def _step(total: int, **more: Any) -> dict[str, Any]:
    return {
        "total": total, "kind": "step", "stage": "a" if total < 5 else "b", "step": total,
        "steps": 9, "loss": 1.0, "rate": 1e-3, "tokens": 100, "tiles": 1, "seconds": 0.5,
        "gradient": 1.0, **more,
    }  # fmt: skip


def _log(folder: Path, records: list[dict[str, Any]]) -> None:
    lines = [json.dumps(record) for record in records]
    (folder / "log.jsonl").write_text("\n".join(lines) + '\n{"torn', "utf-8")


def test_what_was_logged_is_drawn(tmp_path: Path) -> None:
    language = {"losses": {"language": 2.0}, "right": {"language": 0.5}}
    load = [[0.5, 0.25, 0.25], [0.1, 0.4, 0.5]]
    records = [_step(n, **language, expert_load=load) for n in range(1, 10)]
    records.insert(4, {"total": 4, "kind": "held out", "stage": "a", "loss": 3.0, "right": 0.2})
    _log(tmp_path, records)
    paths = draw(tmp_path)
    assert [path.name for path in paths] == ["loss.png", "right.png", "rates.png", "experts.png"]
    for path in paths:
        with Image.open(path) as picture:
            colours = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)
        assert len(colours) > 10, path.name


def test_a_stage_without_a_decoder_has_no_expert_load(tmp_path: Path) -> None:
    _log(tmp_path, [_step(1, losses={"dense": 1.0}), _step(2, losses={"dense": 0.5})])
    assert [path.name for path in draw(tmp_path)] == ["loss.png", "rates.png"]


def test_long_runs_are_drawn_as_means() -> None:
    steps = np.arange(5000.0)
    places, low, mean, high = binned(steps, steps % 10)
    assert len(places) == 200
    assert np.allclose(mean, 4.5, atol=0.5)
    assert (low < mean).all()
    assert (mean < high).all()
    assert len(binned(steps[:40], steps[:40])[0]) == 40


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no step"):
        draw(tmp_path)
