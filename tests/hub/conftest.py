from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub.server import Hub, serve
from tests.store.tiny_checkpoint import write_checkpoint

MODEL = "owner/tiny-model"


class _Hurried:
    """The module time for someone in a hurry; the server and the tests keep the real one."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        pass


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models folder of this test, and no token or cache of the user."""
    folder = tmp_path / "models"
    monkeypatch.setenv("DVL2_MODELS", str(folder))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    return folder


@pytest.fixture
def hub(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one three-shard model, and every wait before a retry cut short."""
    released = write_checkpoint(tmp_path / "released", shards=3)
    (released / "pytorch_model.bin").write_bytes(b"pickle")
    (released / "modeling.py").write_text("import os", encoding="utf-8")
    (released / "LICENSE").write_text("free", encoding="utf-8")
    with serve({MODEL: released}) as hub:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        monkeypatch.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
            hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        )
        # Small pieces, so that a small file has a middle to be cut in.
        monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1024)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        monkeypatch.setattr("dvl2_cli.store.hub.RETRY_WAITS", (0.0, 0.0))
        monkeypatch.setattr("huggingface_hub.file_download.time", _Hurried())
        yield hub
