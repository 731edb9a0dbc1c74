"""XMP sidecars: the caption as ``dc:description``, everything else in the file kept."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree as Xml

from dvl2_cli.errors import OutputError
from dvl2_cli.files import output_error
from dvl2_cli.plain_file import read_plain_file
from dvl2_cli.writers.voc import xml_text

_NAMESPACES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xml": "http://www.w3.org/XML/1998/namespace",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "darktable": "http://darktable.sf.net/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
}
_LONGEST = 2**22


def xmp_path(picture: str) -> Path:
    """The sidecar of ``picture``: ``photo.jpg.xmp`` if there is one, else ``photo.xmp``."""
    path = Path(picture)
    doubled = path.with_name(path.name + ".xmp")
    exists = os.path.exists(doubled)  # noqa: PTH110  pathlib raises for names that are too long
    return doubled if exists else path.with_suffix(".xmp")


def with_description(target: Path, caption: str) -> str:
    """The packet of ``target`` with its description set to ``caption``.

    Raises:
        OutputError: what is there is no XMP.
    """
    for prefix, uri in _NAMESPACES.items():
        if prefix != "xml":
            Xml.register_namespace(prefix, uri)
    root = _existing(target) if os.path.exists(target) else _empty()  # noqa: PTH110
    rdf = root if root.tag == _name("rdf:RDF") else root.find(_name("rdf:RDF"))
    if rdf is None:
        raise OutputError(f"{target} is no XMP: it has no rdf:RDF", "Move it away first.")
    holder = rdf.find(_name("rdf:Description"))
    if holder is None:
        holder = Xml.SubElement(rdf, _name("rdf:Description"), {_name("rdf:about"): ""})
    for other in rdf.iter(_name("rdf:Description")):
        other.attrib.pop(_name("dc:description"), None)
        for old in other.findall(_name("dc:description")):
            other.remove(old)
    languages = Xml.SubElement(Xml.SubElement(holder, _name("dc:description")), _name("rdf:Alt"))
    item = Xml.SubElement(languages, _name("rdf:li"), {_name("xml:lang"): "x-default"})
    item.text = xml_text(caption)
    Xml.indent(root)
    body = Xml.tostring(root, encoding="unicode")
    start = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    return f'{start}{body}\n<?xpacket end="w"?>\n'


def _name(short: str) -> str:
    prefix, _, local = short.partition(":")
    return f"{{{_NAMESPACES[prefix]}}}{local}"


def _empty() -> Xml.Element:
    root = Xml.Element(_name("x:xmpmeta"))
    rdf = Xml.SubElement(root, _name("rdf:RDF"))
    Xml.SubElement(rdf, _name("rdf:Description"), {_name("rdf:about"): ""})
    return root


def _existing(target: Path) -> Xml.Element:
    try:
        data = read_plain_file(target, _LONGEST)
    except OSError as error:
        raise output_error(target, error) from error
    if b"<!ENTITY" in data:
        raise OutputError(f"{target} is no usual XMP sidecar", "Move it away first.")
    try:
        return Xml.fromstring(data)  # noqa: S314  entities were refused above
    except (Xml.ParseError, ValueError) as error:
        raise OutputError(f"{target} is not readable as XMP ({error})", "Move it away.") from error
