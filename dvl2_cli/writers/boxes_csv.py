"""Boxes as a CSV table: one row for each object."""

from __future__ import annotations

from collections.abc import Sequence

from dvl2_cli.results.ground import GroundResult
from dvl2_cli.results.lines import encodable
from dvl2_cli.writers.cells import csv_line
from dvl2_cli.writers.place import NOWHERE, AnnotationPlace, usable_results

COLUMNS = ("path", "page", "id", "query", "label", "x1", "y1", "x2", "y2", "width", "height")


def csv_files(results: Sequence[GroundResult], place: AnnotationPlace = NOWHERE) -> dict[str, str]:
    """``boxes.csv``; corners in pixels, ``width`` and ``height`` of the picture."""
    del place  # paths are as they were given
    lines = [csv_line(COLUMNS)]
    for result, source in usable_results(results):
        for item in result.objects:
            found = (item.id, item.query, item.label, *item.box)
            row = (encodable(source.path), source.page, *found, source.width, source.height)
            lines.append(csv_line(row))
    return {"boxes.csv": "".join(lines)}
