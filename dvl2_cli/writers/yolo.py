"""YOLO detection labels: a text file for each picture, and the list of classes."""

from __future__ import annotations

import json
from collections.abc import Sequence

from dvl2_cli.results.ground import GroundResult
from dvl2_cli.writers.coco import category_of
from dvl2_cli.writers.names import UniqueNames, stem_of


def yolo_files(results: Sequence[GroundResult]) -> dict[str, str]:
    """``labels/NAME.txt`` with "class cx cy width height" in 0..1, ``classes.txt``, ``data.yaml``.

    A picture without objects has an empty file: it is a negative example.
    """
    classes: dict[str, int] = {}
    names = UniqueNames()
    files: dict[str, str] = {}
    for result in results:
        source = result.source
        if result.status == "failed" or source is None or not source.width or not source.height:
            continue
        rows = []
        for item in result.objects:
            number = classes.setdefault(category_of(item), len(classes))
            x1, y1, x2, y2 = item.box
            values = (
                (x1 + x2) / 2 / source.width,
                (y1 + y2) / 2 / source.height,
                (x2 - x1) / source.width,
                (y2 - y1) / source.height,
            )
            rows.append(f"{number} " + " ".join(f"{value:.6f}" for value in values) + "\n")
        files[f"labels/{names.take(stem_of(source))}.txt"] = "".join(rows)
    flat = [" ".join(name.split()) for name in classes]
    files["classes.txt"] = "".join(f"{name}\n" for name in flat)
    # A JSON string is a YAML string.
    listed = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(flat))
    files["data.yaml"] = f"names:\n{listed}" if listed else "names: {}\n"
    return files
