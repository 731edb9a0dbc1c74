"""How a page is shown to the model: in how many bands, and how much larger the second time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from dvl2_cli.planning.print_size import MOST, SMALL, print_height, zoom_for
from dvl2_cli.planning.tile_budget import CANVASES, TILE, most_tiles
from dvl2_cli.tasks.reading.bands import can_split
from dvl2_cli.tasks.reading.half_lines import HalfLines, half_lines
from dvl2_cli.tasks.reading.small_print import WORTH, has_columns, largest_scale, small_print_bands
from dvl2_cli.tasks.reading.text_lines import FEWEST, text_lines

if TYPE_CHECKING:
    from PIL.Image import Image

    from dvl2_cli.engine.request import Tiles

# So many times as large as the first time, or as small, at least and at most.
_STEPS = (1.12, 1.25, 1.5, 1.75, 2.0)


class Views(Protocol):
    """What a page reader asks of a page before it asks the model."""

    def bands(self, page: Image) -> int:
        """In how many bands at least the print of ``page`` is shown large enough."""

    def closer(self, page: Image) -> float | None:
        """The zoom that shows ``page`` on more tiles than the usual one; None where none does."""

    def farther(self, page: Image) -> float | None:
        """The zoom that shows ``page`` on fewer tiles than the usual one; None where none does."""

    def lines(self, page: Image) -> int | None:
        """How many lines of print ``page`` holds; None where that is not known."""

    def divides(self, page: Image) -> bool:
        """Whether ``page`` may be cut between its lines to be read a second time."""

    def half_lines(self, page: Image) -> HalfLines | None:
        """The lines of ``page`` in halves, if only they are shown large enough; else None."""


@dataclass(frozen=True, slots=True)
class AsItIs:
    """Pages whole, and never larger."""

    def bands(self, page: Image) -> int:
        """One."""
        return 1

    def closer(self, page: Image) -> float | None:
        """None."""
        return None

    def farther(self, page: Image) -> float | None:
        """None."""
        return None

    def lines(self, page: Image) -> int | None:
        """None."""
        return None

    def divides(self, page: Image) -> bool:
        """No."""
        return False

    def half_lines(self, page: Image) -> HalfLines | None:
        """None."""
        return None


@dataclass(slots=True)
class Enlarged:
    """Small print larger, if ``enlarges`` says so, which is asked only where it matters.

    ``tiles`` as in ``Request``.
    """

    tiles: Tiles
    enlarges: Callable[[], bool]
    _last: _Print | None = None

    def bands(self, page: Image) -> int:
        """See ``small_print_bands``."""
        count = small_print_bands(page, self.tiles)
        return count if count > 1 and self.enlarges() else 1

    def closer(self, page: Image) -> float | None:
        """The first zoom beyond that of ``--zoom auto`` that takes more tiles."""
        return self._other(page, lambda tiles, usual: tiles > usual, _STEPS)

    def farther(self, page: Image) -> float | None:
        """The first zoom below that of ``--zoom auto``, but not below 1, that takes fewer tiles."""
        return self._other(page, lambda tiles, usual: tiles < usual, [1 / step for step in _STEPS])

    def lines(self, page: Image) -> int | None:
        """See ``text_lines``; None where print stands in columns."""
        if not self.enlarges() or self._of(page).in_columns:
            return None
        found = self._of(page).lines
        return None if found is None else len(found)

    def divides(self, page: Image) -> bool:
        """Print that does not stand in columns, in two halves that can be told apart."""
        if not self.enlarges() or self._of(page).in_columns:
            return False
        found = self._of(page).lines
        return can_split(page.height, 2) if found is None else len(found) >= 2 * FEWEST

    def half_lines(self, page: Image) -> HalfLines | None:
        """Of print in one column that the width of ``page`` keeps small; see ``half_lines``."""
        most, of = most_tiles(self.tiles), self._of(page)
        if not self.enlarges() or most < 1 or of.height is None:
            return None
        now = _shown(page, most)
        if of.height * now >= SMALL or of.in_columns or of.lines is None:
            return None
        halves = half_lines(page, of.lines)
        if halves is None:
            return None
        larger = min(_shown(half, most) for half in (halves.left, halves.right))
        return halves if larger >= WORTH * now else None

    def _other(
        self, page: Image, fits: Callable[[int, int], bool], steps: Sequence[float]
    ) -> float | None:
        """The first of the usual zoom's ``steps`` whose number of tiles ``fits`` the usual one."""
        if not self.enlarges():
            return None
        from deepseek_vl_v2.format.tiling import tile_grid

        most, usual = most_tiles(self.tiles), zoom_for(self._of(page).height)

        def tiles_at(zoom: float) -> int:
            return tile_grid(page.size, CANVASES, TILE, most_tiles=most, zoom=zoom).count

        now = tiles_at(usual)
        zooms = [usual * step for step in steps if usual * step >= 1]
        return next((zoom for zoom in zooms if fits(tiles_at(zoom), now)), None)

    def _of(self, page: Image) -> _Print:
        """What was measured of the page that was asked for last."""
        if self._last is None or self._last.page is not page:
            self._last = _Print(page)
        return self._last


def _shown(picture: Image, most: int) -> float:
    """How many times as large as it is small print in ``picture`` is shown on ``most`` tiles."""
    return min(MOST, largest_scale(picture.size, most))


class _Print:
    """The print of one page; each part is measured once, where it is asked for."""

    def __init__(self, page: Image) -> None:
        self.page = page

    @cached_property
    def height(self) -> float | None:
        """See ``print_height``."""
        return print_height(self.page)

    @cached_property
    def in_columns(self) -> bool:
        """Print in columns, or none at all."""
        return self.height is None or has_columns(self.page, self.height)

    @cached_property
    def lines(self) -> list[tuple[int, int]] | None:
        """See ``text_lines``."""
        return text_lines(self.page)
