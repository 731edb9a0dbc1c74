"""Pascal VOC annotations: an XML file for each picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath
from xml.etree import ElementTree as Xml

from dvl2_cli.results.envelope import Box, Source
from dvl2_cli.results.ground import GroundResult
from dvl2_cli.writers.names import UniqueNames
from dvl2_cli.writers.place import NOWHERE, AnnotationPlace, class_of, usable_results

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
# What XML 1.0 has no way to write.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def voc_files(results: Sequence[GroundResult], place: AnnotationPlace = NOWHERE) -> dict[str, str]:
    """``NAME.xml`` with boxes in whole pixels, which VOC counts from 1, the last one included."""
    names = UniqueNames()
    files = {}
    for result, source in usable_results(results):
        file = f"{names.take(place.name(source))}.xml"
        files[file] = _document(result, source, place.picture(source, file))
    return files


def xml_text(text: str) -> str:
    """``text`` without the characters that XML cannot hold."""
    return _NOT_XML.sub("\ufffd", text)


def _document(result: GroundResult, source: Source, path: str) -> str:
    root = Xml.Element("annotation")
    _add(root, "folder", PurePath(source.path).parent.name)
    _add(root, "filename", PurePath(source.path).name)
    _add(root, "path", path)
    _add(Xml.SubElement(root, "source"), "database", "dvl2")
    size = Xml.SubElement(root, "size")
    _add(size, "width", str(source.width))
    _add(size, "height", str(source.height))
    _add(size, "depth", "3")
    _add(root, "segmented", "0")
    for item in result.objects:
        entry = Xml.SubElement(root, "object")
        _add(entry, "name", class_of(item))
        _add(entry, "pose", "Unspecified")
        _add(entry, "truncated", "0")
        _add(entry, "difficult", "0")
        box = Xml.SubElement(entry, "bndbox")
        for name, value in zip(_CORNERS, _pixels(item.box), strict=True):
            _add(box, name, str(value))
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode") + "\n"


def _pixels(box: Box) -> tuple[int, int, int, int]:
    """The first and last pixel of a box in each direction, counted from 1."""
    left, top, right, bottom = (round(value) for value in box)
    return left + 1, top + 1, max(right, left + 1), max(bottom, top + 1)


def _add(parent: Xml.Element, name: str, text: str) -> None:
    Xml.SubElement(parent, name).text = xml_text(text)
