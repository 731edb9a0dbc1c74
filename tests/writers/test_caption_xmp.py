from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from dvl2_cli.errors import OutputError
from dvl2_cli.writers.caption_xmp import with_description, xmp_path

DC = "{http://purl.org/dc/elements/1.1/}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
FOREIGN = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmp:Rating="4"><dc:subject><rdf:Bag><rdf:li>toy</rdf:li></rdf:Bag></dc:subject>
 <dc:description><rdf:Alt><rdf:li xml:lang="x-default">old</rdf:li></rdf:Alt></dc:description>
 </rdf:Description></rdf:RDF></x:xmpmeta>"""


def description(text: str) -> list[str | None]:
    return [item.text for item in Xml.fromstring(text).iterfind(f".//{DC}description//{RDF}li")]


def test_a_new_packet_holds_the_caption(tmp_path: Path) -> None:
    text = with_description(tmp_path / "a.xmp", "a <red> & \x1b blue car")
    assert description(text) == ["a <red> & \ufffd blue car"]


def test_what_others_wrote_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.xmp"
    path.write_text(FOREIGN, encoding="utf-8")
    text = with_description(path, "new")
    assert description(text) == ["new"]
    assert 'Rating="4"' in text
    assert ">toy<" in text
    path.write_text(text, encoding="utf-8")
    assert description(with_description(path, "newer")) == ["newer"]


@pytest.mark.parametrize(
    "content", [b"", b"not xml", b"<a/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"\xff\xfe"]
)
def test_what_is_no_xmp_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.xmp"
    path.write_bytes(content)
    with pytest.raises(OutputError):
        with_description(path, "new")
    assert path.read_bytes() == content


def test_the_name_follows_what_is_there(tmp_path: Path) -> None:
    assert xmp_path(str(tmp_path / "a.jpg")).name == "a.xmp"
    (tmp_path / "a.jpg.xmp").touch()
    assert xmp_path(str(tmp_path / "a.jpg")).name == "a.jpg.xmp"
