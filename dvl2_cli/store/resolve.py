"""Which model answers: the first of --model, DVL2_MODEL, the settings file, last pulled, nano.

The settings already rank the first three; here the name becomes a folder.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvl2_cli.errors import ModelError
from dvl2_cli.store.copies import copy_folder, is_current
from dvl2_cli.store.keys import OWN_METHOD
from dvl2_cli.store.names import NANO, NANO_ID, HubId, parse_name
from dvl2_cli.store.places import nano_folder
from dvl2_cli.store.records import Record, all_records, find_record, mark_used

if TYPE_CHECKING:
    from dvl2_cli.settings import Settings

PLAIN = "none"
# What runs best from a local copy, best first; see benchmarks/README.md.
_ON_CPU = ("int4", "int8", PLAIN, "nf4")
_ON_CUDA = ("nf4", PLAIN, "int4", "int8")


@dataclass(frozen=True, slots=True)
class Resolved:
    """The chosen model. ``quant`` is that of the folder, "none" for plain weights.

    ``reason`` says who chose it: "from flag --model", "last pulled", "bundled; ...".
    """

    folder: Path
    id: str
    revision: str | None
    quant: str
    reason: str
    is_nano: bool

    @property
    def packed(self) -> bool:
        """Whether the weights are in dvl2's own format, which only the CPU multiplies."""
        return _quantisation(self.folder).get("quant_method") == OWN_METHOD

    def describe(self) -> str:
        """One line for stderr."""
        revision = f"@{self.revision[:8]}" if self.revision else ""
        quant = "" if self.quant == PLAIN else f" {self.quant}"
        return f"model {self.id}{revision}{quant} ({self.reason})"


@dataclass(frozen=True, slots=True)
class Wish:
    """The values that decide; None where nothing was said.

    ``source`` is where ``model`` was named, as the settings tell it: "flag --model",
    "DVL2_MODEL", or a file and line. ``cuda`` says whether the model will run on a CUDA
    device, where other copies are the fastest.
    """

    model: str | None = None
    source: str = "default"
    quant: str | None = None
    revision: str | None = None
    cuda: bool = False


def wish_from(settings: Settings, revision: str | None = None) -> Wish:
    """The wish that the settings (flags and variables laid over them) express."""
    from dvl2_cli.planning.accelerators import find_accelerators

    cuda = settings.device.startswith("cuda")
    if settings.device == "auto":
        cuda = any(accelerator.kind == "cuda" for accelerator in find_accelerators()[0])
    return Wish(settings.model, settings.source("model"), settings.quant, revision, cuda)


def resolve(wish: Wish, *, remember: bool = True) -> Resolved:
    """Choose the model; nothing is loaded or downloaded.

    Args:
        wish: what decides.
        remember: whether this counts as a use of the model, for `dvl2 ls`.

    Raises:
        ModelError: the named model is not on this machine; the hint is the exact command
            that fetches or makes it.
    """
    if wish.model:
        reason = f"from {wish.source}"
        meaning = parse_name(wish.model)
        if isinstance(meaning, Path):
            return _local(meaning, reason, wish)
        if meaning is None:
            return _nano(reason, wish)
        record = find_record(meaning, wish.revision)
        if record is None:
            raise _not_here(meaning, wish)
    else:
        reason, record = "last pulled", next(all_records(), None)
        if record is None:
            return _nano("bundled; no other was chosen or pulled", wish)
    resolved = _pulled(record, reason, wish)
    if remember:
        mark_used(record)
    return resolved


def announce(resolved: Resolved) -> None:
    """Show the choice on stderr."""
    from dvl2_cli.ui.control import printable

    print(f"dvl2: {printable(resolved.describe())}", file=sys.stderr)


def _nano(reason: str, wish: Wish) -> Resolved:
    folder = nano_folder()
    if folder is None:
        raise ModelError(
            "the bundled model is not in this installation",
            "Install dvl2 again, or fetch a model: dvl2 pull tiny",
        )
    folder, quant = _converted(folder, NANO, wish)
    return Resolved(folder, NANO_ID, None, quant, reason, is_nano=True)


def _local(folder: Path, reason: str, wish: Wish) -> Resolved:
    if not (folder / "config.json").is_file():
        what = "holds no config.json" if folder.is_dir() else "does not exist"
        raise ModelError(
            f"the model folder {folder} {what}",
            "Give a folder with a DeepSeek-VL2 checkpoint, or fetch one: dvl2 pull tiny",
        )
    used, quant = _converted(folder, str(folder), wish)
    return Resolved(used, str(folder), None, quant, reason, is_nano=False)


def _converted(folder: Path, name: str, wish: Wish) -> tuple[Path, str]:
    """The folder itself, or its copy if another quantisation is asked for."""
    quant = folder_quant(folder)
    if wish.quant in (None, "auto", quant):
        return folder, quant
    copy = copy_folder(folder, str(wish.quant))
    if is_current(copy, folder):
        return copy, str(wish.quant)
    what = "is older than the model" if copy.exists() else "does not exist"
    hint = f"Make it: dvl2 quantize {name} --to {wish.quant}"
    if wish.quant == PLAIN:
        hint = f"This folder holds {quant} weights; give the folder of the original."
    raise ModelError(f"the {wish.quant} copy of {name} {what}", hint)


def _pulled(record: Record, reason: str, wish: Wish) -> Resolved:
    copies = record.copies()
    quant = _best(copies, wish)
    if quant is None:
        made = ", ".join(copies)
        name = HubId(record.id).short
        raise ModelError(
            f"there is no {wish.quant} copy of {record.id} here, only {made}",
            f"Make it: dvl2 quantize {name} --to {wish.quant}"
            if wish.quant != PLAIN
            else f"Fetch it: dvl2 pull {name}",
        )
    return Resolved(copies[quant], record.id, record.revision, quant, reason, is_nano=False)


def _best(copies: dict[str, Path], wish: Wish) -> str | None:
    if wish.quant not in (None, "auto"):
        return wish.quant if wish.quant in copies else None
    order = _ON_CUDA if wish.cuda else _ON_CPU
    return next((quant for quant in order if quant in copies), next(iter(copies), None))


def _not_here(hub_id: HubId, wish: Wish) -> ModelError:
    revision = f" --revision {wish.revision}" if wish.revision else ""
    quant = f" --quant {wish.quant}" if wish.quant else ""
    what = f"{hub_id.text} at revision {wish.revision}" if wish.revision else hub_id.text
    return ModelError(
        f"{what} is not on this machine", f"Fetch it: dvl2 pull {hub_id.short}{revision}{quant}"
    )


def folder_quant(folder: Path) -> str:
    """The quantisation that a model folder's config.json names, "none" for plain weights."""
    table = _quantisation(folder)
    if not table:
        return PLAIN
    if table.get("load_in_4bit"):
        return str(table.get("bnb_4bit_quant_type", "nf4"))
    if table.get("load_in_8bit"):
        return "int8"
    return str(table.get("format") or table.get("quant_method") or "unknown")


def _quantisation(folder: Path) -> dict[str, Any]:
    """The ``quantization_config`` of a model folder; empty for plain weights."""
    from dvl2_cli.store.fields import read_json

    config = read_json(folder / "config.json", []) or {}
    table = config.get("quantization_config")
    return table if isinstance(table, dict) else {}
