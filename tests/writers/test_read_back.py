"""Annotations read back by the libraries that people feed them to.

supervision and pycocotools read YOLO, Pascal VOC and COCO. The readers of Label Studio and
labelme come with their whole programs (a Qt user interface, a data stack), too much for a
test: their files are checked by hand in test_ground_writers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dvl2_cli.results.envelope import Source
from dvl2_cli.results.ground import FoundObject, GroundResult
from dvl2_cli.writers.folder import write_files
from dvl2_cli.writers.ground import FORMATS

# Of the library, which has no need of OpenCV here.
pytestmark = pytest.mark.filterwarnings("ignore:OpenCV")

SIZES = {"red.png": (640, 480), "blue sky.png": (333, 97), "empty.png": (50, 50)}
FOUND = {
    "red.png": [("red car", (10.25, 20.5, 300.0, 479.98)), ("Ärmel <&>", (0.0, 0.0, 640.0, 480.0))],
    "blue sky.png": [("red car", (1.5, 2.5, 3.5, 96.0))],
    "empty.png": [],
}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name, size in SIZES.items():
        Image.new("RGB", size, "red").save(folder / name)
    return folder


def written(form: str, pictures: Path, out: Path) -> Path:
    results = [
        GroundResult(
            source=Source(str(pictures / name), "0" * 64, None, *SIZES[name]),
            objects=tuple(
                FoundObject(number, label, label, box, (0, 0, 1, 1))
                for number, (label, box) in enumerate(FOUND[name])
            ),
        )
        for name in SIZES
    ]
    write_files(out, FORMATS[form](results))
    return out


def check(dataset: object, pictures: Path, tolerance: float) -> None:
    """The dataset has every picture with its boxes, and the names of their classes."""
    annotations = dataset.annotations  # type: ignore[attr-defined]
    classes = dataset.classes  # type: ignore[attr-defined]
    by_name = {Path(path).name: found for path, found in annotations.items()}
    assert set(by_name) == set(SIZES)
    for name, wanted in FOUND.items():
        found = by_name[name]
        assert len(found) == len(wanted)
        for (label, box), corners, number in zip(
            wanted, found.xyxy, found.class_id if len(found) else [], strict=True
        ):
            assert classes[number] == label
            assert np.abs(corners - np.array(box)).max() <= tolerance


def test_yolo(pictures: Path, tmp_path: Path) -> None:
    import supervision as sv

    out = written("yolo", pictures, tmp_path / "yolo")
    dataset = sv.DetectionDataset.from_yolo(
        str(pictures), str(out / "labels"), str(out / "data.yaml")
    )
    check(dataset, pictures, 0.01)


def test_voc(pictures: Path, tmp_path: Path) -> None:
    import supervision as sv

    out = written("voc", pictures, tmp_path / "voc")
    check(sv.DetectionDataset.from_pascal_voc(str(pictures), str(out)), pictures, 0.5)


def test_coco(pictures: Path, tmp_path: Path) -> None:
    import supervision as sv

    out = written("coco", pictures, tmp_path / "coco")
    dataset = sv.DetectionDataset.from_coco(str(pictures), str(out / "annotations.json"))
    check(dataset, pictures, 0.01)
