"""How a page is shown to the model: in how many bands, and how much larger the second time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dvl2_cli.planning.print_size import print_height, print_zoom
from dvl2_cli.planning.tile_budget import CANVASES, TILE, most_tiles
from dvl2_cli.reading.bands import can_split
from dvl2_cli.reading.small_print import has_columns, small_print_bands
from dvl2_cli.reading.text_lines import FEWEST, text_lines

if TYPE_CHECKING:
    from PIL.Image import Image

    from dvl2_cli.engine.request import Tiles

# So many times as large as the first time, at least and at most.
_STEPS = (1.12, 1.25, 1.5, 1.75, 2.0)


class Views(Protocol):
    """What a page reader asks of a page before it asks the model."""

    def bands(self, page: Image) -> int:
        """In how many bands at least the print of ``page`` is shown large enough."""

    def closer(self, page: Image) -> float | None:
        """The zoom that shows ``page`` on more tiles than the usual one; None where none does."""

    def lines(self, page: Image) -> int | None:
        """How many lines of print ``page`` holds; None where that is not known."""

    def divides(self, page: Image) -> bool:
        """Whether ``page`` may be cut between its lines to be read a second time."""


@dataclass(frozen=True, slots=True)
class AsItIs:
    """Pages whole, and never larger."""

    def bands(self, page: Image) -> int:
        """One."""
        return 1

    def closer(self, page: Image) -> float | None:
        """None."""
        return None

    def lines(self, page: Image) -> int | None:
        """None."""
        return None

    def divides(self, page: Image) -> bool:
        """No."""
        return False


@dataclass(frozen=True, slots=True)
class Enlarged:
    """Small print larger, if ``enlarges`` says so, which is asked only where it matters.

    ``tiles`` as in ``Request``.
    """

    tiles: Tiles
    enlarges: Callable[[], bool]

    def bands(self, page: Image) -> int:
        """See ``small_print_bands``."""
        count = small_print_bands(page, self.tiles)
        return count if count > 1 and self.enlarges() else 1

    def closer(self, page: Image) -> float | None:
        """The first zoom beyond that of ``--zoom auto`` that takes more tiles."""
        if not self.enlarges():
            return None
        from deepseek_vl_v2.tiling import tile_grid

        most, usual = most_tiles(self.tiles), print_zoom(page)

        def tiles_at(zoom: float) -> int:
            return tile_grid(page.size, CANVASES, TILE, most_tiles=most, zoom=zoom).count

        now = tiles_at(usual)
        return next((usual * step for step in _STEPS if tiles_at(usual * step) > now), None)

    def lines(self, page: Image) -> int | None:
        """See ``text_lines``; None where print stands in columns."""
        height = print_height(page)
        if height is None or has_columns(page, height) or not self.enlarges():
            return None
        found = text_lines(page)
        return None if found is None else len(found)

    def divides(self, page: Image) -> bool:
        """Print that does not stand in columns, in two halves that can be told apart."""
        height = print_height(page)
        if height is None or has_columns(page, height) or not self.enlarges():
            return False
        lines = text_lines(page)
        return can_split(page.height, 2) if lines is None else len(lines) >= 2 * FEWEST
