"""Which model answers: the first of --model, DVL2_MODEL, the settings file, last pulled, nano.

The settings already rank the first three; here the name becomes a folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvl2_cli.errors import ModelError
from dvl2_cli.store.copies import copy_folder, is_current
from dvl2_cli.store.keys import OWN_METHOD
from dvl2_cli.store.names import NANO, NANO_ID, HubId, parse_name
from dvl2_cli.store.places import nano_folder
from dvl2_cli.store.records import Record, all_records, find_record, mark_used

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
class ModelSpec:
    """The values that decide; None where nothing was given.

    ``source`` is where ``model`` was named, as the settings tell it: "flag --model",
    "DVL2_MODEL", or a file and line. ``cuda`` says whether the model will run on a CUDA
    device, where other copies are the fastest.
    """

    model: str | None = None
    source: str = "default"
    quant: str | None = None
    revision: str | None = None
    cuda: bool = False


def resolve(spec: ModelSpec, *, remember: bool = True) -> Resolved:
    """Choose the model; nothing is loaded or downloaded.

    Args:
        spec: what decides.
        remember: whether this counts as a use of the model, for `dvl2 ls`.

    Raises:
        ModelError: the named model is not on this machine; the hint is the exact command
            that fetches or makes it.
    """
    if spec.model:
        reason = f"from {spec.source}"
        meaning = parse_name(spec.model)
        if isinstance(meaning, Path):
            return _local(meaning, reason, spec)
        if meaning is None:
            return _nano(reason, spec)
        record = find_record(meaning, spec.revision)
        if record is None:
            raise _not_here(meaning, spec)
    else:
        reason, record = "last pulled", next(all_records(), None)
        if record is None:
            return _nano("bundled; no other was chosen or pulled", spec)
    resolved = _pulled(record, reason, spec)
    if remember:
        mark_used(record)
    return resolved


def _nano(reason: str, spec: ModelSpec) -> Resolved:
    folder = nano_folder()
    if folder is None:
        raise ModelError(
            "the bundled model is not in this installation",
            "Install dvl2 again, or fetch a model: dvl2 pull tiny",
        )
    folder, quant = _converted(folder, NANO, spec)
    return Resolved(folder, NANO_ID, None, quant, reason, is_nano=True)


def _local(folder: Path, reason: str, spec: ModelSpec) -> Resolved:
    if not (folder / "config.json").is_file():
        what = "holds no config.json" if folder.is_dir() else "does not exist"
        raise ModelError(
            f"the model folder {folder} {what}",
            "Give a folder with a DeepSeek-VL2 checkpoint, or fetch one: dvl2 pull tiny",
        )
    used, quant = _converted(folder, str(folder), spec)
    return Resolved(used, str(folder), None, quant, reason, is_nano=False)


def _converted(folder: Path, name: str, spec: ModelSpec) -> tuple[Path, str]:
    """The folder itself, or its copy if another quantisation is asked for."""
    quant = folder_quant(folder)
    if spec.quant in (None, "auto", quant):
        return folder, quant
    copy = copy_folder(folder, str(spec.quant))
    if is_current(copy, folder):
        return copy, str(spec.quant)
    what = "is older than the model" if copy.exists() else "does not exist"
    hint = f"Make it: dvl2 quantize {name} --quant {spec.quant}"
    if spec.quant == PLAIN:
        hint = f"This folder holds {quant} weights; give the folder of the original."
    raise ModelError(f"the {spec.quant} copy of {name} {what}", hint)


def _pulled(record: Record, reason: str, spec: ModelSpec) -> Resolved:
    copies = record.copies()
    quant = _best(copies, spec)
    if quant is None:
        made = ", ".join(copies)
        name = HubId(record.id).short
        raise ModelError(
            f"there is no {spec.quant} copy of {record.id} here, only {made}",
            f"Make it: dvl2 quantize {name} --quant {spec.quant}"
            if spec.quant != PLAIN
            else f"Fetch it: dvl2 pull {name}",
        )
    return Resolved(copies[quant], record.id, record.revision, quant, reason, is_nano=False)


def _best(copies: dict[str, Path], spec: ModelSpec) -> str | None:
    if spec.quant not in (None, "auto"):
        return spec.quant if spec.quant in copies else None
    order = _ON_CUDA if spec.cuda else _ON_CPU
    return next((quant for quant in order if quant in copies), next(iter(copies), None))


def _not_here(hub_id: HubId, spec: ModelSpec) -> ModelError:
    revision = f" --revision {spec.revision}" if spec.revision else ""
    quant = f" --quant {spec.quant}" if spec.quant else ""
    what = f"{hub_id.text} at revision {spec.revision}" if spec.revision else hub_id.text
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
    from dvl2_cli.store.json_file import read_json

    config = read_json(folder / "config.json", []) or {}
    table = config.get("quantization_config")
    return table if isinstance(table, dict) else {}
