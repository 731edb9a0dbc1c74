"""Small PDFs, written object by object."""

from __future__ import annotations

import hashlib

RED_SQUARE = b"1 0 0 rg 0 0 50 50 re f"


def pdf_of(*bodies: bytes, trailer: bytes = b"") -> bytes:
    """A PDF of these objects, numbered from 1; the first is the catalogue."""
    out, places = b"%PDF-1.7\n", []
    for number, body in enumerate(bodies, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    table += b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"/Size %d /Root 1 0 R %s" % (len(bodies) + 1, trailer)
    return out + table + b"trailer\n<< %s >>\nstartxref\n%d\n%%%%EOF\n" % (head, len(out))


def stream(data: bytes, keys: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), keys, data)


def one_page(
    content: bytes, resources: bytes = b"", *others: bytes, size: bytes = b"100 50"
) -> bytes:
    """A PDF of one page; ``others`` are objects from 5 on."""
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %s] /Contents 4 0 R" % size
    return pdf_of(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        page + b" /Resources << %s >> >>" % resources,
        stream(content),
        *others,
    )


def pages_of(kids: bytes, count: int, *pages: bytes) -> bytes:
    """A PDF whose page tree says ``kids`` and ``count``; ``pages`` are objects from 3 on."""
    return pdf_of(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, count),
        *pages,
    )


PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 50] >>"


def protected(user: str, owner: str = "owner") -> bytes:
    """RC4 of 40 bits (revision 2), by the standard security handler."""
    pad = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")

    def rc4(key: bytes, data: bytes) -> bytes:
        box, j = list(range(256)), 0
        for i in range(256):
            j = (j + box[i] + key[i % len(key)]) % 256
            box[i], box[j] = box[j], box[i]
        out, i, j = bytearray(), 0, 0
        for byte in data:
            i = (i + 1) % 256
            j = (j + box[i]) % 256
            box[i], box[j] = box[j], box[i]
            out.append(byte ^ box[(box[i] + box[j]) % 256])
        return bytes(out)

    padded = [(word.encode("latin-1") + pad)[:32] for word in (user, owner)]
    entry = rc4(hashlib.md5(padded[1]).digest()[:5], padded[0])
    identity = b"0123456789abcdef"
    rights = (-4).to_bytes(4, "little", signed=True)
    key = hashlib.md5(padded[0] + entry + rights + identity).digest()[:5]
    content = rc4(hashlib.md5(key + b"\4\0\0\0\0").digest()[:10], RED_SQUARE)
    lock = b"<< /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >>" % (
        entry.hex().encode(),
        rc4(key, pad).hex().encode(),
    )
    return pdf_of(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 50] /Contents 4 0 R >>",
        stream(content),
        lock,
        trailer=b"/Encrypt 5 0 R /ID [<%s> <%s>]" % ((identity.hex().encode(),) * 2),
    )


HELVETICA = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
LETTER = (
    "The swifts came back to the tower",
    "in the first week of May and their",
    "calls fill the street each evening.",
    "Invoice 1042 is due on 4 June.",
)


def lines_of(*lines: str, left: int = 40, top: int = 250, before: bytes = b"") -> bytes:
    """Content that writes ``lines`` with the font /F, in print of 14 points."""
    rows = b"".join(b"(%s) Tj T*\n" % _escaped(line) for line in lines)
    return b"BT /F 14 Tf 20 TL %s %d %d Td\n%sET\n" % (before, left, top, rows)


def _escaped(line: str) -> bytes:
    text = line.encode("latin-1")
    return text.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def text_document(*contents: bytes, font: bytes = HELVETICA, page: bytes = b"") -> bytes:
    """A PDF with a page of 400 x 300 points for each of ``contents``, which may use the font /F;
    ``page`` are further keys of each page.
    """
    count = len(contents)
    kids = b" ".join(b"%d 0 R" % (4 + 2 * index) for index in range(count))
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [%s] /Count %d >>"]
    objects[1] %= (kids, count)
    objects.append(font)
    for index, content in enumerate(contents):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 300] /Contents %d 0 R %s"
            b" /Resources << /Font << /F 3 0 R >> >> >>" % (5 + 2 * index, page)
        )
        objects.append(stream(content))
    return pdf_of(*objects)
