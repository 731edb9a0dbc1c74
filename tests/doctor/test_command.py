"""``dvl2 doctor`` as a process, whole and with things broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dvl2_cli.results.schemas import all_schemas
from tests.store.tiny_checkpoint import write_checkpoint

pytestmark = pytest.mark.slow


def run(*words: str, code: int, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvl2_cli", "doctor", *words],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
        env={**os.environ, "COLUMNS": "80", **environment},
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def parsed(out: str) -> dict[str, Any]:
    (line,) = out.splitlines()
    report: dict[str, Any] = json.loads(line)
    Draft202012Validator(all_schemas()["dvl2.doctor.1.json"]).validate(report)
    return report


def test_a_sound_installation() -> None:
    report = parsed(run("--json", code=0))
    checks = {(check["group"], check["name"]): check for check in report["checks"]}
    assert report["status"] in ("ok", "warning")
    assert {group for group, _ in checks} == {
        "software", "machine", "folders", "kernels", "self-test", "models",
    }  # fmt: skip
    assert checks["self-test", "torch against the record"]["status"] == "ok"
    assert checks["self-test", "kernels against torch"]["status"] == "ok"
    models = {model["model"]: model for model in report["models"]}
    assert {"nano", "Tiny", "Small", "VL2"} <= models.keys()
    assert models["nano"]["runs"]
    assert models["nano"]["memory"]["placements"]


def test_everything_broken_at_once(tmp_path: Path) -> None:
    """Each fault has a check that says so, and the others are made all the same."""
    settings = tmp_path / "settings.toml"
    settings.write_text("quant = [", encoding="utf-8")
    folder = write_checkpoint(tmp_path / "o--m" / ("c" * 40) / "original")
    record = {
        "format": 1, "id": "o/m", "revision": "c" * 40, "asked_revision": "main",
        "licence": None, "pulled_at": 1.0, "files": [],
    }  # fmt: skip
    (folder.parent / "record.json").write_text(json.dumps(record), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"short")
    torn = tmp_path / "path" / "torch"
    torn.mkdir(parents=True)
    (torn / "__init__.py").write_text("raise ImportError('libtorn.so')", encoding="utf-8")
    report = parsed(
        run(
            "--json",
            code=1,
            DVL2_CONFIG=str(settings),
            DVL2_MODELS=str(tmp_path),
            PYTHONPATH=str(torn.parent),
        )
    )
    failed = {check["name"]: check for check in report["checks"] if check["status"] == "failed"}
    assert {"settings", "torch", "o/m", "kernels", "nano"} <= failed.keys()
    assert all(check["remedy"] for check in failed.values())
    assert "libtorn.so" in failed["torch"]["reason"]
    passed = {check["name"] for check in report["checks"] if check["status"] == "ok"}
    assert {"dvl2", "RAM", "Tiny"} <= passed


def test_the_table() -> None:
    out = run(code=0, DVL2_KERNELS="0")
    assert "\x1b" not in out
    assert all(len(line.rstrip()) <= 80 for line in out.splitlines())
    text = " ".join(out.split())
    assert "DVL2_KERNELS=0 switches the kernels off) → Unset DVL2_KERNELS." in text
    assert "nothing to compare: torch decodes" in text
