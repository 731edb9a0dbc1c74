"""Boxes as a CSV table: one row for each object."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from dvl2_cli.results.ground import GroundResult
from dvl2_cli.writers.names import encodable

COLUMNS = ("path", "page", "id", "query", "label", "x1", "y1", "x2", "y2", "width", "height")


def csv_files(results: Sequence[GroundResult]) -> dict[str, str]:
    """``boxes.csv``; corners in pixels, ``width`` and ``height`` of the picture."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for result in results:
        source = result.source
        if result.status == "failed" or source is None:
            continue
        for item in result.objects:
            found = (item.id, item.query, item.label, *item.box)
            writer.writerow(
                (encodable(source.path), source.page, *found, source.width, source.height)
            )
    return {"boxes.csv": buffer.getvalue()}
