"""Label Studio tasks with the boxes as predictions to be corrected by people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dvl2_cli.results.envelope import Source
from dvl2_cli.results.ground import FoundObject, GroundResult
from dvl2_cli.results.lines import json_document
from dvl2_cli.writers.place import NOWHERE, AnnotationPlace, class_of, usable_results

_FILE = "tasks.json"


def labelstudio_files(
    results: Sequence[GroundResult], place: AnnotationPlace = NOWHERE
) -> dict[str, str]:
    """``tasks.json`` for a project with ``<RectangleLabels name="label" toName="image">``."""
    tasks = [_task(result, source, place) for result, source in usable_results(results)]
    return {_FILE: json_document(tasks)}


def _task(result: GroundResult, source: Source, place: AnnotationPlace) -> dict[str, Any]:
    model = result.model.id if result.model else "dvl2"
    width, height = source.width or 1, source.height or 1
    found = [_region(item, width, height) for item in result.objects]
    return {
        "data": {"image": place.picture(source, _FILE)},
        "predictions": [{"model_version": model, "result": found}],
    }


def _region(item: FoundObject, width: int, height: int) -> dict[str, Any]:
    x1, y1, x2, y2 = item.box
    return {
        "id": f"dvl2-{item.id}",
        "type": "rectanglelabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        # Label Studio counts in per cent of the picture.
        "value": {
            "x": round(x1 / width * 100, 4),
            "y": round(y1 / height * 100, 4),
            "width": round((x2 - x1) / width * 100, 4),
            "height": round((y2 - y1) / height * 100, 4),
            "rotation": 0,
            "rectanglelabels": [class_of(item)],
        },
    }
