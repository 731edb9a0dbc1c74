"""Every test runs with the user's folders elsewhere, and on one torch thread."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Before torch is imported: two test processes on two cores must not fight for them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# CI tries the same examples every time, so that it fails for a change and not by chance.
# Neither may depend on how busy the machine is, so no example has a deadline.
settings.register_profile("dvl2", deadline=None)
settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dvl2")


@pytest.fixture(autouse=True)
def user_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh home: no settings, sessions, models or daemon of the user are seen or touched."""
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith("DVL2_")]:
        monkeypatch.delenv(name)
    for variable, folder in (
        ("HOME", "."),
        ("XDG_CONFIG_HOME", "config"),
        ("XDG_DATA_HOME", "data"),
        ("XDG_CACHE_HOME", "cache"),
        ("XDG_STATE_HOME", "state"),
        ("XDG_RUNTIME_DIR", "run"),
        ("HF_HOME", "hf"),
    ):
        path = home / folder
        path.mkdir(exist_ok=True, mode=0o700)
        monkeypatch.setenv(variable, str(path))
    return home


@pytest.fixture(autouse=True)
def no_accelerator_state() -> Iterator[None]:
    """accelerate keeps the precision of a process's first run and refuses another."""
    yield
    state = sys.modules.get("accelerate.state")
    if state is not None:
        state.AcceleratorState._reset_state(reset_partial_state=True)
