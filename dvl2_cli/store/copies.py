"""Where the quantised copy of a model belongs, and whether it is still that model's."""

from __future__ import annotations

import hashlib
from pathlib import Path

from dvl2_cli.store.places import ORIGINAL, RECORD, models_folder
from dvl2_cli.store.policy import FILE_NAME as POLICY

CONVERTED = "converted"


def copy_folder(source: Path, quant: str) -> Path:
    """Where the ``quant`` copy of the model folder ``source`` is written and looked for.

    Beside the original for a pulled model, else in the models folder under a name made from
    the source's own place.
    """
    if source.name == ORIGINAL and (source.parent / RECORD).is_file():
        return source.parent / quant
    place = source.resolve()
    digest = hashlib.sha256(str(place).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return models_folder() / CONVERTED / f"{place.name}-{digest}" / quant


def is_current(copy: Path, source: Path) -> bool:
    """Whether ``copy`` is whole and not older than any weight of ``source``, or its policy."""
    try:
        made = (copy / "config.json").stat().st_mtime
        kept = [*source.glob("*.safetensors"), *source.glob(POLICY)]
        changes = [path.stat().st_mtime for path in kept]
    except OSError:
        return False
    return all(changed <= made for changed in changes)
