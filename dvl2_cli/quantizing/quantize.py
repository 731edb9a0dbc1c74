"""One call from a model folder to its quantised copy, alone, resumable and atomic."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from deepseek_vl_v2.quantized_format import PackedKind
from dvl2_cli.engine.local.kernel_choice import check_kernels
from dvl2_cli.errors import CancelledError, ModelError, OutputError
from dvl2_cli.files import output_error
from dvl2_cli.folders import recover_interrupted_replace
from dvl2_cli.locks import locked
from dvl2_cli.quantizing.conversion import Progress, convert, finish
from dvl2_cli.quantizing.journal import JOURNAL
from dvl2_cli.quantizing.verify import check_hashes
from dvl2_cli.results.models import ClassError
from dvl2_cli.store.checkpoint import CheckpointInfo, check_checkpoint
from dvl2_cli.store.copies import is_current
from dvl2_cli.store.resolve import folder_quant


class Format(StrEnum):
    """What a copy can be."""

    int4 = "int4"
    int8 = "int8"
    nf4 = "nf4"


@dataclass(frozen=True, slots=True)
class QuantizeResult:
    """A copy, whether this run made it, and how rounding changed each class of weights.

    ``errors`` is empty for a copy that was there already.
    """

    folder: Path
    made: bool
    errors: list[ClassError]


def quantize_model(
    source: Path, target: Format, folder: Path, progress: Progress, *, verified: bool = False
) -> QuantizeResult:
    """Make the ``target`` copy of the model in ``source`` at ``folder``, unless it is current.

    What an interrupted run finished lies in ``folder`` + ".partial" and is taken up again.
    A new run first compares a pulled model's hashes, unless the caller has ``verified`` them.

    Raises:
        ModelError: the source is not a sound, unquantised checkpoint, or not what was pulled.
        OutputError: no space, no permission, another process is at it, or ``folder`` holds
            something that dvl2 did not make.
        CancelledError: Ctrl-C; what was finished is kept.
    """
    check_kernels()
    info = check_checkpoint(source)
    if info.quant_method is not None:
        raise ModelError(
            f"{source} is quantised already ({folder_quant(source)})",
            "Give the folder of the released weights.",
        )
    _check_replaceable(folder)
    partial = folder.with_name(f"{folder.name}.partial")
    with _one_at_a_time(folder):
        recover_interrupted_replace(folder)
        if is_current(folder, source):
            return QuantizeResult(folder, made=False, errors=[])
        if not verified and not (partial / JOURNAL).exists():
            check_hashes(source)
        try:
            errors = _convert(info, target, partial, folder, progress)
        except KeyboardInterrupt as error:
            raise CancelledError(
                "cancelled", "What is finished is kept; the same command goes on."
            ) from error
    return QuantizeResult(folder, made=True, errors=errors)


def _convert(
    info: CheckpointInfo, target: Format, partial: Path, folder: Path, progress: Progress
) -> list[ClassError]:
    if target is Format.nf4:
        from dvl2_cli.quantizing.nf4 import convert_to_nf4, finish_nf4

        convert_to_nf4(info, partial, progress)
        finish_nf4(info, partial, folder)
        return []
    kind = PackedKind(target.value)
    errors = convert(info, kind, partial, progress)
    finish(info, kind, partial, folder)
    return errors


def _check_replaceable(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f"{folder} is a file", "Name a folder with -o.")
    if any(folder.iterdir()) and folder_quant(folder) == "none":
        raise OutputError(
            f"{folder} is not empty and holds no quantised copy",
            "Name another folder with -o, or empty it.",
        )


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    from filelock import Timeout

    lock = folder.with_name(f"{folder.name}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with locked(lock):
            yield
    except Timeout as error:
        raise OutputError(
            f"another dvl2 process is converting to {folder}", "Wait for it to end."
        ) from error
    except OSError as error:
        raise output_error(lock.parent, error) from error
