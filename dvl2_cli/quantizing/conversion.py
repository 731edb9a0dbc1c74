"""The conversion: plan, check, write file by file, and rename when everything is there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from deepseek_vl_v2.quantized_format import FORMAT_VERSION, QUANT_METHOD, PackedKind
from deepseek_vl_v2.quantized_rounding import quantise
from dvl2_cli import __version__
from dvl2_cli.errors import ModelError, OutputError
from dvl2_cli.files import atomic_write, output_error
from dvl2_cli.folders import replace_folder
from dvl2_cli.quantizing.journal import JOURNAL, ConversionJournal, FinishedTensor
from dvl2_cli.quantizing.layout import Shard, Target, plan_shards
from dvl2_cli.quantizing.reading import read_tensor, tensor_bytes
from dvl2_cli.results.models import ClassError
from dvl2_cli.store.checkpoint import CheckpointInfo
from dvl2_cli.store.keys import ABSORBED
from dvl2_cli.store.shards import INDEX, SINGLE

REPORT = "quantization.json"
_SPARE = 64 * 2**20
_PIECE = 16 * 2**20

# Called with the bytes of the copy that are done and the bytes of all of it.
Progress = Callable[[int, int], None]


def convert(
    info: CheckpointInfo, kind: PackedKind, partial: Path, progress: Progress
) -> list[ClassError]:
    """Write the copy of a checked checkpoint into ``partial``, going on where a run stopped.

    Everything but ``config.json`` is there afterwards, which is what makes a folder a model:
    the caller adds it and renames the folder.

    Raises:
        ModelError: a weight holds infinities or NaN, or a file became unreadable.
        OutputError: no space, no permission.
    """
    shards = plan_shards(info.tensors, info.architecture, kind)
    try:
        partial.mkdir(parents=True, exist_ok=True)
        journal = ConversionJournal(partial, identity(info, kind.value))
        try:
            sizes = sum(shard.nbytes for shard in shards)
            check_space(sizes, partial, [shard.name for shard in shards])
            for shard in shards:
                _Writing(info, shard, partial, journal, progress, shards).run()
            errors = class_errors(shards, journal, info)
            _write_index(shards, partial)
            copy_companions(info.folder, partial)
            write_report(info, kind.value, journal, errors, partial)
        finally:
            journal.close()
    except OSError as error:
        raise output_error(partial, error) from error
    return errors


def finish(info: CheckpointInfo, kind: PackedKind, partial: Path, final: Path) -> None:
    """Add ``config.json`` and give the folder its name, replacing an older copy.

    Raises:
        OutputError: the folder cannot be renamed.
    """
    table = {
        "quant_method": QUANT_METHOD,
        "format": kind.value,
        "format_version": FORMAT_VERSION,
    }
    config = {key: value for key, value in info.config.items() if key != "quantization_config"}
    try:
        with atomic_write(partial / "config.json") as stream:
            stream.write(json.dumps({**config, "quantization_config": table}, indent=1) + "\n")
        (partial / JOURNAL).unlink(missing_ok=True)
        replace_folder(partial, final)
    except OSError as error:
        raise output_error(final, error) from error


def copy_size(info: CheckpointInfo, kind: PackedKind) -> int:
    """Bytes of the weights of a copy of that kind."""
    return sum(shard.nbytes for shard in plan_shards(info.tensors, info.architecture, kind))


class _Writing:
    """One file of the copy."""

    def __init__(
        self,
        info: CheckpointInfo,
        shard: Shard,
        folder: Path,
        journal: ConversionJournal,
        progress: Progress,
        shards: list[Shard],
    ) -> None:
        self._info = info
        self._shard = shard
        self._path = folder / shard.name
        self._journal = journal
        self._progress = progress
        self._total = sum(other.nbytes for other in shards)
        earlier = shards[: shards.index(shard)]
        self._done = sum(other.nbytes for other in earlier)

    def run(self) -> None:
        """Write what is missing of the file."""
        if self._is_whole():
            self._progress(self._done + self._shard.nbytes, self._total)
            return
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if hasattr(os, "posix_fallocate"):
                # Fails now, and not after an hour, if the disk is too full for this file.
                os.posix_fallocate(descriptor, 0, self._shard.nbytes)
            os.ftruncate(descriptor, self._shard.nbytes)
            _write_at(descriptor, self._shard.header, 0)
            for target, offset in self._shard.offsets():
                if not self._is_written(descriptor, target, offset):
                    self._write(descriptor, target, offset)
                self._progress(self._done + offset + target.nbytes, self._total)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._journal.add_file(self._shard.name, file_hash(self._path))

    def _is_whole(self) -> bool:
        return (
            self._shard.name in self._journal.files
            and self._path.is_file()
            and self._path.stat().st_size == self._shard.nbytes
        )

    def _is_written(self, descriptor: int, target: Target, offset: int) -> bool:
        finished = self._journal.tensors.get(target.key)
        if finished is None:
            return False
        crc, position, end = 0, offset, offset + target.nbytes
        while position < end:
            piece = os.pread(descriptor, min(_PIECE, end - position), position)
            if not piece:
                return False
            crc = zlib.crc32(piece, crc)
            position += len(piece)
        return crc == finished.crc

    def _write(self, descriptor: int, target: Target, offset: int) -> None:
        source = read_tensor(target.source, self._info.tensors[target.source])
        squares = squared_error = 0.0
        if target.kind is None:
            data = source
        else:
            try:
                packed = quantise(self._weight(target, source), target.kind)
            except ValueError as error:
                raise ModelError(
                    f"{target.source} in {self._info.tensors[target.source].file}: {error}",
                    "Fetch the file again, or ask whoever made the checkpoint.",
                ) from error
            data, squares, squared_error = packed.data, packed.squares, packed.squared_error
        content = tensor_bytes(data.contiguous())
        _write_at(descriptor, content, offset)
        crc = zlib.crc32(content)
        self._journal.add_tensor(FinishedTensor(target.key, crc, squares, squared_error))

    def _weight(self, target: Target, source: Tensor) -> Tensor:
        if not target.key.endswith(ABSORBED):
            return source
        decoder = self._info.architecture.decoder
        heads = source.view(decoder.heads, -1, decoder.kv_lora_rank)
        keys = heads[:, : decoder.nope_width].transpose(1, 2)
        return keys.reshape(-1, decoder.nope_width)


def class_errors(
    shards: list[Shard], journal: ConversionJournal, info: CheckpointInfo
) -> list[ClassError]:
    """The rounding error of every class of weights, in the order of their first tensor."""
    sums: dict[tuple[str, str], list[float]] = {}
    for target in (target for shard in shards for target in shard.targets):
        if target.tensor_class is None or target.kind is None:
            continue
        finished = journal.tensors[target.key]
        entry = sums.setdefault((target.tensor_class, target.kind.value), [0.0, 0.0, 0.0])
        entry[0] += finished.squared_error
        entry[1] += finished.squares
        entry[2] += info.tensors[target.source].elements
    return [
        ClassError(name, kind, (error / squares) ** 0.5 if squares else 0.0, int(weights))
        for (name, kind), (error, squares, weights) in sums.items()
    ]


def file_hash(path: Path) -> str:
    """SHA-256 of a file in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def identity(info: CheckpointInfo, quant: str) -> dict[str, Any]:
    """What a run must have in common with the journal to go on with it."""
    files = sorted({tensor.file for tensor in info.tensors.values()})
    states = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return {
        "source": str(info.folder.resolve()),
        "files": states,
        "format": quant,
        "format_version": FORMAT_VERSION,
        "dvl2": __version__,
    }


def check_space(size: int, partial: Path, names: list[str]) -> None:
    """Refuse to start what cannot be finished.

    Args:
        size: bytes of the whole copy.
        partial: where it is written.
        names: its files; what is there of them counts as done.

    Raises:
        OutputError: too little space.
    """
    from dvl2_cli.sizes import format_size

    present = sum(
        (partial / name).stat().st_blocks * 512 for name in names if (partial / name).is_file()
    )
    needed = size - present + _SPARE
    free = shutil.disk_usage(partial).free
    if needed > free:
        raise OutputError(
            f"the copy needs {format_size(needed)} more, but only {format_size(free)} are free "
            f"at {partial.parent}",
            "Free some space, or write to another disk with -o; the next run goes on.",
        )


def _write_at(descriptor: int, content: bytes | memoryview, offset: int) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view[:_PIECE], offset)
        view, offset = view[written:], offset + written


def _write_index(shards: list[Shard], folder: Path) -> None:
    weight_map = {target.key: shard.name for shard in shards for target in shard.targets}
    total = sum(target.nbytes for shard in shards for target in shard.targets)
    content = {"metadata": {"total_size": total}, "weight_map": weight_map}
    with atomic_write(folder / INDEX) as stream:
        stream.write(json.dumps(content) + "\n")


def copy_companions(source: Path, folder: Path) -> None:
    """Tokenizer, processor and whatever else lies beside the weights, as released."""
    skipped = {"config.json", INDEX, SINGLE, REPORT}
    for path in source.iterdir():
        if not path.is_file() or path.name in skipped or path.name.startswith("."):
            continue
        if path.suffix not in (".safetensors", ".bin", ".pt", ".pth", ".py"):
            shutil.copyfile(path, folder / path.name)


def write_report(
    info: CheckpointInfo,
    quant: str,
    journal: ConversionJournal,
    errors: list[ClassError],
    folder: Path,
) -> None:
    """Write what was converted, with the hash of every file and the error of every class."""
    content = {
        "source": identity(info, quant),
        "sha256": journal.files,
        "relative_error": {
            f"{error.name} ({error.kind})": error.relative_error for error in errors
        },
    }
    with atomic_write(folder / REPORT) as stream:
        stream.write(json.dumps(content, indent=1) + "\n")
