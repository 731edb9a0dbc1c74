"""labelme annotations: a JSON file for each picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dvl2_cli.results.ground import GroundResult
from dvl2_cli.results.lines import json_document
from dvl2_cli.writers.names import UniqueNames
from dvl2_cli.writers.place import NOWHERE, AnnotationPlace, class_of, usable_results


def labelme_files(
    results: Sequence[GroundResult], place: AnnotationPlace = NOWHERE
) -> dict[str, str]:
    """``NAME.json`` with rectangles in pixels; the picture is named by its path from there."""
    names = UniqueNames()
    files = {}
    for result, source in usable_results(results):
        file = f"{names.take(place.name(source))}.json"
        document: dict[str, Any] = {
            "version": "5.5.0",
            "flags": {},
            "shapes": [
                {
                    "label": class_of(item),
                    "points": [list(item.box[:2]), list(item.box[2:])],
                    "group_id": None,
                    "description": item.label if item.label != class_of(item) else "",
                    "shape_type": "rectangle",
                    "flags": {},
                }
                for item in result.objects
            ],
            "imagePath": place.picture(source, file),
            "imageData": None,
            "imageHeight": source.height,
            "imageWidth": source.width,
        }
        files[file] = json_document(document)
    return files
