"""What a hub says, as it comes out on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hub.server import Hub
from tests.reliability.nasty import NASTY, shown

pytestmark = pytest.mark.slow
FILE = NASTY.replace("/", "")


@pytest.fixture
def nasty_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hub:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return hub


def _garbage(hub: Hub) -> None:
    hub.faults.garbage_listing = True
    hub.faults.message = NASTY


def _refusal(hub: Hub) -> None:
    hub.faults.listing_status = [403]
    hub.faults.message = NASTY


def _file_refusal(hub: Hub) -> None:
    hub.faults.file_status = [404] * 20
    hub.faults.message = NASTY


def _odd_file(hub: Hub) -> None:
    (folder,) = hub.models.values()
    (folder / f"{FILE}.json").write_text("{}", encoding="utf-8")
    hub.faults.content = {f"{FILE}.json": b"wrong"}


@pytest.mark.parametrize("fault", [_garbage, _refusal, _file_refusal, _odd_file])
def test_what_a_hub_says(nasty_hub: Hub, tmp_path: Path, fault: Callable[[Hub], None]) -> None:
    fault(nasty_hub)
    (model,) = nasty_hub.models
    raw = shown("-m", "dvl2_cli", "pull", model, "--quant", "none", folder=tmp_path)
    assert b"dvl2: " in raw
