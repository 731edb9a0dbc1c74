"""A picture under construction that remembers where every character landed."""

from __future__ import annotations

from PIL import Image, ImageDraw

from nano_lab.rendering.face import Face
from nano_lab.rendering.sample import Box, Glyph, SceneObject

Colour = tuple[int, int, int]


class Canvas:
    """An RGB image with its glyphs, text lines and objects.

    Text must be written in reading order: glyph order and OCR lines follow the calls.
    """

    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self.draw = ImageDraw.Draw(image)
        self.glyphs: list[Glyph] = []
        self.lines: list[str] = []
        self.objects: list[SceneObject] = []

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.size

    @property
    def text(self) -> str:
        """Every line written so far, joined by newlines."""
        return "\n".join(self.lines)

    def write(
        self, x: int, baseline: int, text: str, face: Face, fill: Colour, *, joined: bool = False
    ) -> Box:
        """Draw one line from (x, baseline); ``joined`` continues the last line after a space.

        Characters that the font lacks are left out. Returns the box of the advance by the
        ascent and descent.
        """
        text = " ".join(face.printable(text).split())
        if not text:
            return (x, baseline, x, baseline)
        self._record_line(text, joined)
        # Cuts with a negative left bearing must not be clipped by the anchor.
        self.draw.text((x, baseline), text, fill=fill, font=face.font, anchor="ls")
        offsets = face.offsets(text)
        line, order = len(self.lines) - 1, len(self.glyphs)
        for index, char in enumerate(text):
            left, top, right, bottom = face.ink(char)
            pen = x + offsets[index]
            box = (pen + left, baseline + top, pen + right, baseline + bottom)
            self.glyphs.append(Glyph(char, box, line, order + index))
        return (x, baseline - face.ascent, x + offsets[-1], baseline + face.descent)

    def _record_line(self, text: str, joined: bool) -> None:
        if joined and self.lines:
            self.lines[-1] += " " + text
        else:
            self.lines.append(text)
