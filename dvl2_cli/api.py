"""dvl2 from Python: one model, its tasks as methods, results of the command line's own types.

    from dvl2_cli import Model

    with Model("nano") as model:
        print(model.ocr("letter.png").text)

Nothing is printed. What cannot be done raises a ``Dvl2Error`` with a message and a hint.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from dvl2_cli.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from dvl2_cli.engine.engine import Engine, ModelInfo
    from dvl2_cli.engine.events import Event
    from dvl2_cli.inputs.picture import Picture
    from dvl2_cli.results import CaptionResult, GroundResult, OcrResult
    from dvl2_cli.results.caption import CaptionLength
    from dvl2_cli.tasks.context import TaskContext
    from dvl2_cli.tasks.ocr import BoxSource

    AnyPicture = str | Path | Image

_MAX_ANSWER_TOKENS = 1024


class Model:
    """A model that answers; it is loaded at the first question.

    What is not given is as the settings say. Not safe for use from several threads at once.

    Args:
        name: folder, name or hub id.
        quant: "auto", "none", "int8", "int4" or "nf4".
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        adapter: folder of a LoRA adapter.
        max_memory: hard cap on resident memory, as "8GB".
        threads: CPU threads.
        tiles: most local tiles of an image, or "auto".
        zoom: how many times as large images are shown, or "auto".
        max_tokens: longest answer; each task has a default of its own.
        temperature: 0 is greedy.
        seed: makes sampling repeatable.
        server: URL of an OpenAI-compatible server to ask instead.

    Raises:
        UsageError: a value is not what its setting takes.
    """

    def __init__(
        self,
        name: str | Path | None = None,
        *,
        quant: str | None = None,
        device: str | None = None,
        adapter: str | Path | None = None,
        max_memory: str | None = None,
        threads: int | None = None,
        tiles: int | Literal["auto"] | None = None,
        zoom: float | Literal["auto"] | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        server: str | None = None,
    ) -> None:
        from dvl2_cli.engine.session import Session
        from dvl2_cli.options import CommonOptions

        common = CommonOptions(
            model=_text(name),
            quant=quant,
            device=device,
            adapter=_text(adapter),
            max_memory=max_memory,
            threads=threads,
            tiles=_text(tiles),
            zoom=_text(zoom),
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
            server=server,
        )
        self._session = Session(common)
        self._session.defaults(max_tokens=_MAX_ANSWER_TOKENS)  # refuses wrong values at once
        self._opened: Engine | None = None

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the model's memory; the next question loads it again."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @property
    def info(self) -> ModelInfo:
        """Which model answers, on which device, and its policy; it is loaded for this."""
        return self._engine().info

    def ocr(
        self,
        picture: AnyPicture,
        *,
        markdown: bool = False,
        boxes: BoxSource = "none",
        fields: Sequence[str] = (),
    ) -> OcrResult:
        """The text of a picture or of a document of one page.

        Args:
            picture: path, URL, or an image, which may be turned as its EXIF data says.
            markdown: ask for Markdown instead of plain text.
            boxes: who locates the lines.
            fields: names of values to extract.
        """
        from dvl2_cli.tasks.ocr import MAX_TOKENS, OcrOptions, ocr

        options = OcrOptions(markdown, boxes, tuple(fields))
        return ocr(self._context(MAX_TOKENS), self._one(picture), options)

    def ocr_pages(
        self, document: str | Path, pages: str | None = None, *, markdown: bool = False
    ) -> Iterator[OcrResult]:
        """The text of each page; ``pages`` chooses some, as "1-4,7"."""
        from dvl2_cli.inputs.load import Reading, load_pictures
        from dvl2_cli.inputs.pages import PageRanges
        from dvl2_cli.tasks.ocr import MAX_TOKENS, OcrOptions, ocr

        reading = Reading(PageRanges.parse(pages) if pages else None)
        reading = reading.within(self._session.picture_memory)
        for page in load_pictures(document, reading=reading):
            yield ocr(self._context(MAX_TOKENS), page, OcrOptions(markdown))

    def ground(self, picture: AnyPicture, *phrases: str, every: bool = False) -> GroundResult:
        """The boxes of what ``phrases`` name; ``every`` asks for every instance."""
        from dvl2_cli.tasks.ground import MAX_TOKENS, GroundOptions, ground

        options = GroundOptions(phrases, every)
        options.check()
        return ground(self._context(MAX_TOKENS), self._one(picture), options)

    def caption(self, picture: AnyPicture, length: CaptionLength = "normal") -> CaptionResult:
        """A description, "short", "normal" or "long"."""
        from dvl2_cli.tasks.caption import MAX_TOKENS, caption
        from dvl2_cli.tasks.captioning.wording import Wording

        wording = Wording(length)
        wording.check()
        return caption(self._context(MAX_TOKENS), self._one(picture), wording)

    def ask(self, pictures: AnyPicture | Sequence[AnyPicture], question: str) -> Iterator[Event]:
        """The answer to ``question`` as it comes: one Started, Tokens, one Finished.

        An answer that is counted by boxes, where the model's policy says so, is a Finished alone.
        """
        from dvl2_cli.tasks.ask import ask_events
        from dvl2_cli.tasks.context import question_about

        if isinstance(pictures, Sequence) and not isinstance(pictures, str):
            images = [self._one(picture).image for picture in pictures]
        else:
            images = [self._one(pictures).image]
        context = self._context(_MAX_ANSWER_TOKENS)
        yield from ask_events(context, question_about(context.defaults, question, images))

    def _context(self, max_tokens: int) -> TaskContext:
        from dvl2_cli.tasks.context import TaskContext

        return TaskContext(self._engine(), self._session.defaults(max_tokens=max_tokens))

    def _engine(self) -> Engine:
        if self._opened is None:
            from dvl2_cli.engine import opening

            self._opened = opening.open_lasting_engine(self._session)
        return self._opened

    def _one(self, picture: AnyPicture) -> Picture:
        """The only page of what was given.

        Raises:
            InputError: it cannot be read.
            UsageError: it has several pages.
        """
        from dvl2_cli.inputs.load import Reading, load_pictures, picture_of

        if not isinstance(picture, str | Path):
            return picture_of(picture)
        reading = Reading().within(self._session.picture_memory)
        first, *rest = [*_at_most_two(load_pictures(picture, reading=reading))]
        if rest:
            raise UsageError(
                f"{picture} holds several pictures", "Use ocr_pages, or name one of them."
            )
        return first


def _at_most_two(found: Iterator[Picture]) -> Iterator[Picture]:
    for count, picture in enumerate(found, 1):
        yield picture
        if count == 2:
            return


def _text(value: object) -> str | None:
    return None if value is None else str(value)
