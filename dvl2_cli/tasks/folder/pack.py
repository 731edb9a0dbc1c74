"""As many of the best pages as the context holds, as pictures or as text, and the question."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from dvl2_cli.engine.engine import Engine
from dvl2_cli.engine.request import Message, Request
from dvl2_cli.inputs.page_name import page_name
from dvl2_cli.inputs.picture import Picture
from dvl2_cli.results.chat import ShownAs
from dvl2_cli.retrieval.index import PageHit
from dvl2_cli.retrieval.words import terms_of
from dvl2_cli.tasks.folder.gather import FolderPage

ShowPages = Literal["auto", "pictures", "text"]

# With more pictures upstream's processor shows thumbnails alone, on which no print can be read.
_MAX_PICTURES = 2
# Tokens that stay free for the answer, unless fewer are asked for.
_ANSWER_TOKENS = 512
# Where only the server can count: characters of a token at least, and tokens of a page at most.
_CHARACTERS, _PICTURE_TOKENS = 3, 2000
_ASK = "Answer from these pages alone, and name those that you used by their numbers, as [1]."


@dataclass(frozen=True, slots=True)
class ChosenPage:
    """A page that the model is shown; ``text`` may be a part of the page's where it says so."""

    page: FolderPage
    hit: PageHit
    shown_as: ShownAs
    text: str = ""
    picture: Picture | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Packer:
    """Fits pages into the context of a model.

    Attributes:
        engine: counts tokens.
        request: makes the request of a message.
        picture: opens a page as a picture.
        show: whether pages are shown as pictures or as text; "auto" shows those that were read
            from pixels as pictures.
    """

    engine: Engine
    request: Callable[[Message], Request]
    picture: Callable[[FolderPage], Picture]
    show: ShowPages = "auto"

    def pack(self, question: str, hits: Sequence[tuple[PageHit, FolderPage]]) -> list[ChosenPage]:
        """The pages of ``hits``, best first, that fit with ``question``; maybe none."""
        chosen: list[ChosenPage] = []
        for hit, page in hits:
            for candidate in self._forms(hit, page, chosen):
                if self._fits(question, [*chosen, candidate]):
                    chosen.append(candidate)
                    break
        if not chosen and hits:
            part = self._part(question, *hits[0])
            chosen += [part] if part is not None else []
        return chosen

    def _forms(
        self, hit: PageHit, page: FolderPage, chosen: Sequence[ChosenPage]
    ) -> Iterator[ChosenPage]:
        pictures = sum(other.picture is not None for other in chosen)
        as_picture = self.show == "pictures" or (
            self.show == "auto" and page.text_source == "pixels"
        )
        if as_picture and pictures < _MAX_PICTURES:
            yield ChosenPage(page, hit, "picture", picture=self.picture(page))
        if self.show != "pictures" and page.text:
            yield ChosenPage(page, hit, "text", page.text)

    def _part(self, question: str, hit: PageHit, page: FolderPage) -> ChosenPage | None:
        """The lines around those that the question is about, as many as fit."""
        lines = page.text.splitlines()
        best = _best_line(lines, question)
        low, high, found = 0, len(lines), None
        while low < high:
            reach = (low + high + 1) // 2
            text = "\n".join(lines[max(0, best - reach) : best + reach])
            candidate = ChosenPage(page, hit, "part", text)
            if text and self._fits(question, [candidate]):
                low, found = reach, candidate
            else:
                high = reach - 1
        return found

    def _fits(self, question: str, chosen: Sequence[ChosenPage]) -> bool:
        return fits(self.engine, self.request(message_about(question, chosen)))


def fits(engine: Engine, request: Request) -> bool:
    """Whether the context holds ``request`` and an answer."""
    cost = engine.cost(request)
    tokens = cost.prompt_tokens or _estimate(request.messages)
    answer = min(request.sampling.max_new_tokens, _ANSWER_TOKENS)
    return tokens + answer <= cost.context_length


def message_about(question: str, chosen: Sequence[ChosenPage]) -> Message:
    """The question after its pages, each under its number and name.

    A single picture is asked about as any picture is: small models know no other form.
    """
    if len(chosen) == 1 and chosen[0].picture is not None:
        return Message("user", question, (chosen[0].picture.image,))
    content, places, images = "", [], []
    for number, item in enumerate(chosen, 1):
        page = item.page
        name = page_name(PurePath(page.path).name, page.page)
        content += f"[{number}] {name}:\n"
        if item.picture is not None:
            places.append(len(content))
            images.append(item.picture.image)
        content += f"{item.text}\n\n"
    return Message("user", f"{content}{_ASK}\n{question}", tuple(images), tuple(places))


def named_pages(answer: str, count: int) -> tuple[set[int], list[int]]:
    """The numbers of pages that ``answer`` names: those of 1 to ``count``, and others."""
    numbers = [
        int(number)
        for group in re.findall(r"\[(\d{1,3}(?:, ?\d{1,3})*)\]", answer)
        for number in group.split(",")
    ]
    right = {number for number in numbers if 1 <= number <= count}
    return right, sorted(set(numbers) - right)


def _best_line(lines: Sequence[str], question: str) -> int:
    terms = [term.casefold() for term in terms_of(question)]
    scores = [sum(term in line.casefold() for term in terms) for line in lines]
    return scores.index(max(scores)) if scores else 0


def _estimate(messages: Sequence[Message]) -> int:
    text = sum(len(message.content) for message in messages)
    pictures = sum(len(message.images) for message in messages)
    return text // _CHARACTERS + pictures * _PICTURE_TOKENS
