"""``--text-layer``: which pages their text layers answer, and what the user is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, get_args

from dvl2_cli.errors import UsageError
from dvl2_cli.inputs.picture import Picture
from dvl2_cli.results import OcrResult
from dvl2_cli.tasks.reading.layer import LayerUse, layer_result, page_of, without_layer
from dvl2_cli.tasks.reading.layer_verdict import LayerVerdict, judge_layer

if TYPE_CHECKING:
    from dvl2_cli.tasks.reading.page import PageText
    from dvl2_cli.ui.console import Console


class Layers:
    """The choice of ``--text-layer`` for one run.

    Args:
        use: as the user wrote it.

    Raises:
        UsageError: ``use`` is none of the three words.
    """

    def __init__(self, use: str) -> None:
        if use not in get_args(LayerUse):
            raise UsageError(f"--text-layer {use}", f"One of {', '.join(get_args(LayerUse))}.")
        self.use = cast("LayerUse", use)
        self._told: set[str] = set()
        self._pages = self._answered = 0

    @property
    def wanted(self) -> bool:
        """Whether the layers are to be read at all."""
        return self.use != "ignore"

    @property
    def only(self) -> bool:
        """Whether no page is read from its pixels."""
        return self.use == "only"

    def page(
        self, picture: Picture, console: Console, *, structure: bool
    ) -> tuple[PageText | None, LayerVerdict]:
        """The page as its layer has it, None where it is to be read; and the verdict.

        ``structure`` is whether the format wants headings, lists and tables, which a layer does
        not have: then "auto" leaves the page to the model.
        """
        self._pages += 1
        if not self.wanted:
            return None, LayerVerdict()
        verdict = judge_layer(picture)
        where = f"{picture.path} page {picture.page}"
        if verdict.reason is not None and not self.only:
            self._tell_once(
                picture.path, f"{where}: its text layer is not used: {verdict.reason}", console
            )
        if structure and not self.only:
            if verdict.layer is not None:
                self._tell_once(
                    picture.path,
                    f"{where} has a sound text layer, which has no headings or tables: the model "
                    "reads the page; --text-layer only takes the text as it is",
                    console,
                )
            return None, verdict
        page = page_of(verdict)
        self._answered += page is not None
        return page, verdict

    def alone(self, picture: Picture, page: PageText | None, verdict: LayerVerdict) -> OcrResult:
        """The result of a page that no model is asked about.

        Raises:
            InputError: only layers are asked for, and this page has none to use.
        """
        if page is None:
            return without_layer(picture, verdict)
        return layer_result(picture, page)

    def tell(self, console: Console) -> None:
        """Say how many pages came from their layers, if any did."""
        if self._answered:
            count = f"{self._answered} of {self._pages} pages"
            console.note(f"{count} come from their text layers: no model read them")

    def _tell_once(self, path: str, text: str, console: Console) -> None:
        if path not in self._told:
            self._told.add(path)
            console.note(text)
