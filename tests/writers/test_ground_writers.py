from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvl2_cli.errors import InputError, UsageError
from dvl2_cli.results import CaptionResult, FoundObject, GroundResult, OcrResult, Source, Table
from dvl2_cli.writers.captions import csv_row
from dvl2_cli.writers.cells import no_formulas
from dvl2_cli.writers.ground import FORMATS, ground_writer
from dvl2_cli.writers.tables import TablesCsvWriter
from dvl2_cli.writers.voc import xml_text

Found = list[tuple[str, tuple[float, float, float, float]]]
WIDTH, HEIGHT = 1920, 1080


def result(found: Found, path: str = "photos/scene.jpg") -> GroundResult:
    objects = tuple(
        FoundObject(index, label, label, box, (0, 0, 1, 1))
        for index, (label, box) in enumerate(found)
    )
    return GroundResult(source=Source(path, None, None, WIDTH, HEIGHT, False), objects=objects)


labels = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1).map(
    lambda text: "x" + " ".join(text.split())
)


@st.composite
def founds(draw: st.DrawFn) -> Found:
    number = st.integers(0, 10)
    made: Found = []
    for _ in range(draw(st.integers(0, 5))):
        x, y = draw(st.floats(0, 1800)), draw(st.floats(0, 1000))
        box = (x, y, x + 10 + draw(number), y + 10 + draw(number))
        made.append((draw(labels), tuple(round(value, 2) for value in box)))  # type: ignore[arg-type]
    return made


def close(read: Found, wanted: Found, tolerance: float) -> None:
    assert [label for label, _ in read] == [label for label, _ in wanted]
    for (_, one), (_, other) in zip(read, wanted, strict=True):
        assert one == pytest.approx(other, abs=tolerance)


@settings(max_examples=25, deadline=None)
@given(founds())
def test_coco_is_read_back_by_pycocotools(found: Found) -> None:
    import contextlib
    import tempfile

    from pycocotools import coco

    text = FORMATS["coco"]([result(found)])["annotations.json"]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder, "a.json")
        path.write_text(text, encoding="utf-8")
        read = coco.COCO(str(path))
    assert read.loadImgs([1])[0]["width"] == WIDTH
    names = {item["id"]: item["name"] for item in read.loadCats(read.getCatIds())}
    back = [
        (names[item["category_id"]], (x, y, x + w, y + h))
        for item in read.loadAnns(read.getAnnIds(imgIds=[1]))
        for x, y, w, h in [item["bbox"]]
    ]
    close(back, found, 0.02)


@given(founds())
def test_yolo_round_trip(found: Found) -> None:
    files = FORMATS["yolo"]([result(found)])
    classes = files["classes.txt"].split("\n")[:-1]
    back: Found = []
    for row in files["labels/scene.txt"].splitlines():
        number, cx, cy, w, h = row.split()
        x, y = float(cx) * WIDTH, float(cy) * HEIGHT
        half_w, half_h = float(w) * WIDTH / 2, float(h) * HEIGHT / 2
        back.append((classes[int(number)], (x - half_w, y - half_h, x + half_w, y + half_h)))
    close(back, found, 0.01)


@given(founds())
def test_voc_round_trip(found: Found) -> None:
    root = Xml.fromstring(FORMATS["voc"]([result(found)])["scene.xml"])
    assert root.findtext("size/width") == str(WIDTH)
    back: Found = []
    for entry in root.iter("object"):
        x1, y1, x2, y2 = (float(entry.findtext(f"bndbox/{c}", "")) for c in VOC_CORNERS)
        corners = (x1 - 1, y1 - 1, x2, y2)  # VOC counts from 1
        back.append((entry.findtext("name", ""), corners))
    close(back, [(xml_text(label), box) for label, box in found], 0.5)


VOC_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@given(founds())
def test_label_studio_round_trip(found: Found) -> None:
    (task,) = json.loads(FORMATS["labelstudio"]([result(found)])["tasks.json"])
    back: Found = []
    for region in task["predictions"][0]["result"]:
        value = region["value"]
        x, y = value["x"] / 100 * WIDTH, value["y"] / 100 * HEIGHT
        w, h = value["width"] / 100 * WIDTH, value["height"] / 100 * HEIGHT
        back.append((value["rectanglelabels"][0], (x, y, x + w, y + h)))
    close(back, found, 0.01)


@given(founds())
def test_labelme_round_trip(found: Found) -> None:
    document = json.loads(FORMATS["labelme"]([result(found)])["scene.json"])
    assert document["imageHeight"] == HEIGHT
    back = [
        (item["label"], (*item["points"][0], *item["points"][1])) for item in document["shapes"]
    ]
    close(back, found, 0)


@given(founds())
def test_csv_round_trip(found: Found) -> None:
    rows = csv.DictReader(io.StringIO(FORMATS["csv"]([result(found)])["boxes.csv"]))
    back = [(row["label"], tuple(float(row[c]) for c in ("x1", "y1", "x2", "y2"))) for row in rows]
    close(back, found, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FORMATS)
def test_failures_and_equal_names_do_not_collide(name: str) -> None:
    box = (1.0, 2.0, 30.0, 40.0)
    results: Sequence[GroundResult] = [
        result([("car", box)], "a/scene.jpg"),
        GroundResult.failure(InputError("no such file: x.jpg"), Source("x.jpg")),
        result([("car", box)], "b/Scene.png"),
        result([("car", box)], "na\udcffme\nb.png"),
    ]
    files = FORMATS[name](results)
    for text in files.values():
        text.encode("utf-8")
    per_picture = [file for file in files if file.casefold().removeprefix("labels/")[:5] == "scene"]
    assert len(per_picture) in (0, 2)
    assert all("\n" not in file and ".." not in file for file in files)


def test_an_unknown_format_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no such format"):
        ground_writer("nope")


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("-12.50", "-12.50"),
        ("+3 %", "+3 %"),
        ("a=1", "a=1"),
        (-3, -3),
        (None, None),
    ],
)
def test_cells_are_no_formulas(cell: object, written: object) -> None:
    assert no_formulas([cell]) == [written]


def test_no_csv_holds_a_formula() -> None:
    box = (1.0, 2.0, 30.0, 40.0)
    boxes = FORMATS["csv"]([result([("=1+1", box)], "=a.png")])["boxes.csv"]
    page = OcrResult(tables=(Table("", (("=1+1", "-2"),)),))
    caption = csv_row(CaptionResult(source=Source("a.png"), caption="@x"))
    for text in (boxes, TablesCsvWriter().page(page, 0), caption):
        cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
        assert not [cell for cell in cells if cell[:1] in "=@" and cell]
