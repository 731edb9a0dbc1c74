"""COCO object detection annotations: one JSON document for all pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dvl2_cli.results.ground import GroundResult
from dvl2_cli.results.lines import json_document
from dvl2_cli.writers.place import NOWHERE, AnnotationPlace, class_of, usable_results

_FILE = "annotations.json"


def coco_files(results: Sequence[GroundResult], place: AnnotationPlace = NOWHERE) -> dict[str, str]:
    """``annotations.json``; category, image and annotation ids count from 1."""
    used = usable_results(results)
    categories = place.class_names(result for result, _ in used)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for result, source in used:
        image_id = len(images) + 1
        images.append(
            {
                "id": image_id,
                "file_name": place.picture(source, _FILE),
                "width": source.width,
                "height": source.height,
            }
        )
        for item in result.objects:
            category_id = categories[class_of(item)] + 1
            x1, y1, x2, y2 = item.box
            width, height = round(x2 - x1, 2), round(y2 - y1, 2)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category_id,
                    "bbox": [x1, y1, width, height],
                    "area": round(width * height, 2),
                    "iscrowd": 0,
                    "segmentation": [],
                }
            )
    document = {
        "info": {"description": "Boxes found by dvl2"},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number + 1, "name": name} for name, number in categories.items()],
    }
    return {_FILE: json_document(document)}
