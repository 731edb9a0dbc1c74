"""Benchmark files in the two forms, with pictures that are told apart by their size."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image


def png(width: int = 20, height: int = 10) -> bytes:
    stream = io.BytesIO()
    # Noise, so that base64 is longer than the longest reference to another row.
    Image.effect_noise((width, height), 60).convert("RGB").save(stream, "PNG")
    return stream.getvalue()


def as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def write_tsv(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """As pandas writes: quoted where a cell holds a tab, a newline or a quote."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]], **options: Any) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(list(rows)), path, **options)
    return path


def picture(data: bytes | None = None) -> dict[str, Any]:
    """A picture as lmms-eval's files hold it."""
    return {"bytes": png() if data is None else data, "path": None}
