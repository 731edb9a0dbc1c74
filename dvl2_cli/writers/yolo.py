"""YOLO detection labels: a text file for each picture, and the list of classes."""

from __future__ import annotations

import json
from collections.abc import Sequence

from dvl2_cli.results.ground import GroundResult
from dvl2_cli.writers.names import UniqueNames
from dvl2_cli.writers.place import CLASSES, DATA, NOWHERE, AnnotationPlace, class_of, usable_results


def yolo_files(results: Sequence[GroundResult], place: AnnotationPlace = NOWHERE) -> dict[str, str]:
    """``labels/NAME.txt`` with "class cx cy width height" in 0..1, ``classes.txt``, ``data.yaml``.

    A picture without objects has an empty file: it is a negative example.
    """
    used = usable_results(results)
    classes = place.class_names(result for result, _ in used)
    names = UniqueNames()
    files: dict[str, str] = {}
    for result, source in used:
        if not source.width or not source.height:
            continue
        rows = []
        for item in result.objects:
            number = classes[class_of(item)]
            x1, y1, x2, y2 = item.box
            values = (
                (x1 + x2) / 2 / source.width,
                (y1 + y2) / 2 / source.height,
                (x2 - x1) / source.width,
                (y2 - y1) / source.height,
            )
            rows.append(f"{number} " + " ".join(f"{value:.6f}" for value in values) + "\n")
        files[names.take(place.label(source).removesuffix(".txt")) + ".txt"] = "".join(rows)
    files[CLASSES] = "".join(f"{name}\n" for name in classes)
    # A JSON string is a YAML string.
    listed = "".join(f"  {number}: {json.dumps(name)}\n" for name, number in classes.items())
    files[DATA] = f"names:\n{listed}" if listed else "names: {}\n"
    return files
