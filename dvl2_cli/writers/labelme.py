"""labelme annotations: a JSON file for each picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dvl2_cli.results.ground import GroundResult
from dvl2_cli.results.lines import json_document
from dvl2_cli.writers.coco import category_of
from dvl2_cli.writers.names import UniqueNames, stem_of


def labelme_files(results: Sequence[GroundResult]) -> dict[str, str]:
    """``NAME.json`` with rectangles in pixels; the picture itself is referred to by path."""
    names = UniqueNames()
    files = {}
    for result in results:
        if result.status == "failed" or result.source is None:
            continue
        document: dict[str, Any] = {
            "version": "5.5.0",
            "flags": {},
            "shapes": [
                {
                    "label": category_of(item),
                    "points": [list(item.box[:2]), list(item.box[2:])],
                    "group_id": None,
                    "description": item.label if item.label != category_of(item) else "",
                    "shape_type": "rectangle",
                    "flags": {},
                }
                for item in result.objects
            ],
            "imagePath": result.source.path,
            "imageData": None,
            "imageHeight": result.source.height,
            "imageWidth": result.source.width,
        }
        name = names.take(stem_of(result.source))
        files[f"{name}.json"] = json_document(document)
    return files
