"""Pages that Chromium draws from HTML; the truth is its own DOM."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from nano_lab.foreign.drawing.document import Word

if TYPE_CHECKING:
    from pathlib import Path

# Every printed word with the boxes of its pieces; words inside of one text node are told apart
# by their ranges, so that hyphens and wraps are where the engine put them.
_WORDS = r"""() => {
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode()); ) {
    const style = getComputedStyle(node.parentElement);
    for (const match of node.data.matchAll(/\S+/g)) {
      const range = document.createRange();
      range.setStart(node, match.index);
      range.setEnd(node, match.index + match[0].length);
      const box = range.getBoundingClientRect();
      const text = style.textTransform === "uppercase" ? match[0].toUpperCase() : match[0];
      if (box.width) found.push([text, box.left, box.top, box.right, box.bottom]);
    }
  }
  return found;
}"""


class Chromium:
    """A headless Chromium, one for many pages; use it as a context."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        from playwright.sync_api import sync_playwright

        play = self._stack.enter_context(sync_playwright())
        program = shutil.which("chromium") or shutil.which("google-chrome")
        # The pages are this suite's own, and a container's root has no sandbox.
        self._browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        self._stack.callback(self._browser.close)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def draw(
        self, html: str, file: Path, width: int, scale: float, *, transparent: bool = False
    ) -> tuple[str, list[Word]]:
        """Write the page as PNG to ``file``.

        Args:
            html: the whole document, without a script or anything to load.
            file: where the picture goes.
            width: of the page, CSS pixels; its height is what it needs.
            scale: device pixels to a CSS pixel.
            transparent: where the page paints no ground, the picture has none.

        Returns:
            The text in the order of the document, and its words with boxes in CSS pixels.
        """
        page = self._browser.new_page(
            viewport={"width": width, "height": 60}, device_scale_factor=scale
        )
        page.set_content(html)
        page.screenshot(path=file, full_page=True, omit_background=transparent)
        words = [Word(text, (x0, y0, x1, y1)) for text, x0, y0, x1, y1 in page.evaluate(_WORDS)]
        page.close()
        return " ".join(word.text for word in words), words
