"""Where models lie on this machine.

Pulled models lie in a folder of dvl2's own, so that a half-finished download can be
resumed byte by byte and is never mistaken for a model::

    MODELS/OWNER--NAME/COMMIT/record.json         written last: without it there is no model
    MODELS/OWNER--NAME/COMMIT/original/           as released
    MODELS/OWNER--NAME/COMMIT/original.partial/   being downloaded
    MODELS/OWNER--NAME/COMMIT/int4/               a quantised copy, named by its format
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from dvl2_cli.store.names import HubId
from dvl2_cli.user_folders import NoHomeError, data_folder

ORIGINAL = "original"
PARTIAL = "original.partial"
RECORD = "record.json"
_NANO_FOLDER = "dvl2_nano"


def models_folder() -> Path:
    """Where pulled models lie: ``DVL2_MODELS``, or the user's data folder.

    Raises:
        NoHomeError: neither is there.
    """
    chosen = os.environ.get("DVL2_MODELS")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return data_folder() / "models"


def in_models_folder(pattern: str) -> list[Path]:
    """What lies in the models folder by a glob pattern; nothing where there is no such folder."""
    try:
        return sorted(models_folder().glob(pattern))
    except NoHomeError:
        return []


def commit_folder(hub_id: HubId, commit: str) -> Path:
    """The folder of one revision of one model."""
    return models_folder() / hub_id.folder_name / commit


def nano_folder() -> Path | None:
    """The bundled checkpoint: beside the installed package, or in the checkout."""
    # A folder of data without code is found as a namespace package.
    spec = importlib.util.find_spec(_NANO_FOLDER)
    found = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    found.append(Path(__file__).parents[2] / "models" / _NANO_FOLDER)
    return next((folder for folder in found if (folder / "config.json").is_file()), None)
