"""Pages drawn with the font that Pillow ships."""

from __future__ import annotations

from dataclasses import dataclass, field

from PIL import Image, ImageDraw, ImageFont

Colour = str | tuple[int, int, int]


@dataclass
class Sheet:
    """A page to draw on; every text that is written keeps its box."""

    size: tuple[int, int] = (640, 480)
    ground: Colour = "white"
    boxes: dict[str, tuple[float, float, float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """An empty page."""
        self.image = Image.new("RGB", self.size, self.ground)
        self.draw = ImageDraw.Draw(self.image)

    def write(
        self, place: tuple[float, float], text: str, size: float = 16, ink: Colour = "black"
    ) -> None:
        """Draw ``text`` with its top left corner at ``place``."""
        font = ImageFont.load_default(size)
        self.draw.text(place, text, ink, font)
        self.boxes[text] = self.draw.textbbox(place, text, font)
