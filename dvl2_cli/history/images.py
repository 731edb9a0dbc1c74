"""The pictures of kept turns: each stored once, by its pixels, as PNG."""

from __future__ import annotations

import hashlib
import io
import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dvl2_cli.inputs.picture import Picture


def add_pictures(db: sqlite3.Connection, turn: int, pictures: tuple[Picture, ...]) -> None:
    """Store a turn's pictures, in order."""
    for position, picture in enumerate(pictures):
        path = picture.path.encode("utf-8", "replace").decode()  # names need not be UTF-8
        row = (turn, position, _add_image(db, picture), path, picture.sha256, picture.page)
        db.execute(
            "INSERT INTO turn_image VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*row, picture.orientation_applied),
        )


def pictures_of(db: sqlite3.Connection, turn: int) -> Iterator[Picture]:
    """A turn's pictures, in order, with the pixels they had."""
    from PIL import Image

    from dvl2_cli.inputs.picture import Picture

    rows = db.execute(
        "SELECT png, path, file_sha256, page, turned FROM turn_image "
        "JOIN image ON image.sha256 = image WHERE turn = ? ORDER BY position",
        (turn,),
    )
    for png, path, file_sha256, page, turned in rows:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as stored:
            image = stored.convert("RGB")
        yield Picture(image, path, file_sha256, page, orientation_applied=bool(turned))


def drop_unused_images(db: sqlite3.Connection) -> None:
    """Delete the images that no turn has."""
    db.execute(
        "DELETE FROM image WHERE NOT EXISTS "
        "(SELECT 1 FROM turn_image WHERE turn_image.image = image.sha256)"
    )


def _add_image(db: sqlite3.Connection, picture: Picture) -> str:
    # The file's own hash would not do: the pages of a document share it.
    size = f"{picture.width}x{picture.height}:".encode()
    digest = hashlib.sha256(size + picture.image.tobytes()).hexdigest()
    if not db.execute("SELECT 1 FROM image WHERE sha256 = ?", (digest,)).fetchone():
        stream = io.BytesIO()
        picture.image.save(stream, "PNG", compress_level=1)
        db.execute("INSERT INTO image VALUES (?, ?)", (digest, stream.getvalue()))
    return digest
