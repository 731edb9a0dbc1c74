"""Answers about single pages joined into one, in as many steps as the context asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dvl2_cli.engine.events import Finished
from dvl2_cli.engine.request import Message, Request
from dvl2_cli.errors import ContextOverflowError
from dvl2_cli.results.envelope import UsageTotals
from dvl2_cli.tasks.context import TaskContext
from dvl2_cli.tasks.folder.pack import fits


@dataclass(slots=True)
class Joiner:
    """Puts ``question`` after texts, group by group, until one answer is left.

    Attributes:
        context: is asked.
        question: what --reduce says.
        tell: is told of each step after the first.
        usage: of all answers so far.
    """

    context: TaskContext
    question: str
    tell: Callable[[str], None]
    usage: UsageTotals = field(default_factory=UsageTotals)

    def join(self, texts: Sequence[str]) -> Finished:
        """The answer about all ``texts``, each of which is used.

        Raises:
            ContextOverflowError: two of them do not fit the context.
        """
        left = list(texts)
        while True:
            groups = self._groups(left)
            answers = []
            for group in groups:
                answer = self.context.answer(self._request(group))
                self.usage = self.usage.plus(answer.usage)
                if answer.finish_reason == "cancelled" or len(groups) == 1:
                    return answer
                answers.append(answer.text.strip())
            self.tell(f"{len(left)} answers do not fit the context: joined to {len(groups)} first")
            left = answers

    def _groups(self, texts: Sequence[str]) -> list[list[str]]:
        """``texts`` in order, as many in a group as fit."""
        groups: list[list[str]] = []
        for text in texts:
            if groups and fits(self.context.engine, self._request([*groups[-1], text])):
                groups[-1].append(text)
            else:
                groups.append([text])
        if len(groups) == len(texts) > 1:
            raise ContextOverflowError(
                "two answers about pages do not fit the context together",
                "Ask --map for shorter answers, or lower --max-tokens.",
            )
        return groups

    def _request(self, texts: Sequence[str]) -> Request:
        content = "\n\n".join([*texts, self.question])
        return self.context.defaults.request((Message("user", content),))
