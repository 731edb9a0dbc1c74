"""Which files hold a benchmark, of which form they are, and their rows one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from dvl2_cli.errors import InputError, UsageError
from dvl2_cli.evaluation.benchmarks.item import Benchmark
from dvl2_cli.evaluation.benchmarks.parquet import ParquetFile
from dvl2_cli.evaluation.benchmarks.row import SourceRow
from dvl2_cli.evaluation.benchmarks.tsv import TsvFile

_PARQUET_MAGIC = b"PAR1"
_SUFFIXES = (".parquet", ".tsv")

BenchmarkFile = ParquetFile | TsvFile


def open_files(paths: Sequence[Path], benchmark: Benchmark) -> list[BenchmarkFile]:
    """The files of ``paths``, those of a folder by name, with the columns of ``benchmark``.

    Raises:
        InputError: one cannot be read, is of neither form, or lacks a column.
    """
    files = [_open(path) for given in paths for path in _listed(given)]
    for file in files:
        _check_columns(file, benchmark)
    return files


def rows_of(files: Sequence[BenchmarkFile], *, with_pictures: bool) -> Iterator[SourceRow]:
    """The rows of all files; pictures can only be decoded ``with_pictures``.

    Raises:
        InputError: a file is damaged.
    """
    place = 0
    for file in files:
        for number, cells, pictures in file.rows(with_pictures=with_pictures):
            place += 1
            yield SourceRow(file.path, number, place, cells, pictures)


def _listed(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(item for item in path.iterdir() if item.suffix in _SUFFIXES)
    if not found:
        raise InputError(f"{path} holds no file that ends in {' or '.join(_SUFFIXES)}")
    return found


def _open(path: Path) -> BenchmarkFile:
    try:
        with path.open("rb") as stream:
            start = stream.read(1 << 16)
    except FileNotFoundError as error:
        raise InputError(f"no such file: {path}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if start.startswith(_PARQUET_MAGIC):
        return ParquetFile(path)
    if b"\t" in start.partition(b"\n")[0] and b"\0" not in start:
        return TsvFile(path)
    raise InputError(
        f"{path} is neither parquet nor TSV with a header",
        "lmms-eval's parquet files and VLMEvalKit's TSV files are read.",
    )


def _check_columns(file: BenchmarkFile, benchmark: Benchmark) -> None:
    missing = [names for names in benchmark.columns if not set(names) & set(file.columns)]
    if missing:
        wanted = ", ".join(" or ".join(names) for names in missing)
        there = ", ".join(file.columns)
        raise UsageError(
            f"{file.path} lacks what {benchmark.title} needs: {wanted}; it has {there[:200]}",
            "docs/evaluation.md lists the columns of each set.",
        )
