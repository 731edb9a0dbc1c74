"""COCO object detection annotations: one JSON document for all pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dvl2_cli.results.ground import FoundObject, GroundResult
from dvl2_cli.results.lines import json_document


def category_of(item: FoundObject) -> str:
    """What the box is filed under: the phrase asked for, else the model's word."""
    return item.query or item.label


def coco_files(results: Sequence[GroundResult]) -> dict[str, str]:
    """``annotations.json``; category, image and annotation ids count from 1."""
    categories: dict[str, int] = {}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for result in results:
        if result.status == "failed" or result.source is None:
            continue
        image_id = len(images) + 1
        source = result.source
        images.append(
            {
                "id": image_id,
                "file_name": source.path,
                "width": source.width,
                "height": source.height,
            }
        )
        for item in result.objects:
            category_id = categories.setdefault(category_of(item), len(categories) + 1)
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
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
    }
    return {"annotations.json": json_document(document)}
