"""Which fonts this machine has; tests that need more are skipped."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from dvl2_cli.errors import InputError
from nano_lab.rendering.fonts import emoji_path, installed_cuts, missing_packages


@functools.cache
def any_font() -> Path:
    """An installed font of the training split, or skip."""
    try:
        return installed_cuts("train", ("sans", "serif", "mono"))[0][0]
    except InputError as missing:
        pytest.skip(f"{missing.message} {missing.hint}")


def need_all() -> None:
    """Skip where a split, a genre or the emoji have no font."""
    try:
        for split in ("train", "test"):
            for genre in ("sans", "serif", "mono"):
                installed_cuts(split, (genre,))
        emoji_path()
    except InputError as missing:
        pytest.skip(f"{missing.message} {missing.hint}")


def need_suite() -> None:
    """Skip where a font is missing that the nano suite is drawn with."""
    missing = missing_packages("test")
    if missing:
        pytest.skip(f"Fonts of the nano suite are not installed: {' '.join(missing)}")
