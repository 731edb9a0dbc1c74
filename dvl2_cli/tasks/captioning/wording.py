"""How a caption is asked for and what is made of the answer."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from dvl2_cli import prompts
from dvl2_cli.engine.request import Constraint
from dvl2_cli.errors import UsageError
from dvl2_cli.results.caption import CaptionLength
from dvl2_cli.results.lines import encodable

_PRESETS: dict[CaptionLength, str] = {
    "short": "describe-short",
    "normal": "describe",
    "long": "describe-long",
}
_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
FIELDS = ("caption", "name", "stem", "dir", "tags", "width", "height")


@dataclass(frozen=True, slots=True)
class Wording:
    """What the user wants captions to look like."""

    length: CaptionLength = "normal"
    prefix: str = ""
    include: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()
    template: str = "{caption}"
    grounded: bool = False

    def check(self) -> None:
        """Refuse a template with unknown fields, and words both wanted and unwanted.

        Raises:
            UsageError: so worded.
        """
        if self.length not in _PRESETS:
            raise UsageError(f"--length {self.length}", "One of short, normal, long.")
        both = {word.casefold() for word in self.include} & {word.casefold() for word in self.avoid}
        if both:
            raise UsageError(f"--include and --avoid both name {sorted(both)[0]!r}")
        filled(self.template, dict.fromkeys(FIELDS, ""))

    @property
    def question(self) -> str:
        """The prompt."""
        return prompts.PRESETS["grounded-caption" if self.grounded else _PRESETS[self.length]]

    def constraint(self) -> Constraint | None:
        """A grammar without words that begin with an unwanted one; None where there are none.

        Longer words go too: a model kept from "image" after writing it would say "imagery".
        """
        if not self.avoid:
            return None
        banned = "|".join(_any_case(word) for word in self.avoid)
        edge = "[^\\p{L}\\p{N}]"
        has_banned = f"/((?s:.)*{edge})?({banned})(?s:.)*/"
        return Constraint("lark", f"start: TEXT\nTEXT: /(?s:.)+/ & ~{has_banned}\n")

    def caption(self, answer: str) -> str:
        """The answer on one line, with the wanted words."""
        return self.with_words(" ".join(answer.split()))

    def with_words(self, text: str) -> str:
        """``text`` with the wanted words that it lacks added at its end."""
        missing = [word for word in self.include if not contains_word(text, word)]
        if not missing:
            return text
        return ", ".join(piece for piece in (text.rstrip(",. "), *missing) if piece)

    def unwanted(self, caption: str) -> list[str]:
        """Words to avoid that are in the caption all the same."""
        return [word for word in self.avoid if contains_word(caption, word)]

    def written(self, caption: str, path: str, size: tuple[int, int]) -> str:
        """The line that goes into files: prefix and template around the caption."""
        source = Path(path)
        values = {
            "caption": caption,
            "name": source.name,
            "stem": source.stem,
            "dir": source.parent.name,
            "tags": ", ".join(self.include),
            "width": str(size[0]),
            "height": str(size[1]),
        }
        return encodable(self.prefix + filled(self.template, values))

    def fingerprint(self, **more: object) -> str:
        """A hash of everything that decides the caption of a given picture."""
        text = json.dumps({**asdict(self), **more}, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def filled(template: str, values: Mapping[str, str]) -> str:
    """``template`` with its ``{fields}`` replaced; ``{{`` and ``}}`` stand for braces.

    Raises:
        UsageError: an unknown field or a lone brace.
    """

    def replace(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        if match[1] not in values:
            known = ", ".join("{" + name + "}" for name in FIELDS)
            raise UsageError(f"--template: {match[0]!r} is no field", f"There are {known}.")
        return values[match[1]]

    return _FIELD.sub(replace, template)


def contains_word(text: str, word: str) -> bool:
    """Whether ``word`` stands in ``text`` by itself, in any letter case."""
    pattern = rf"(?<![^\W_]){re.escape(word)}(?![^\W_])"
    return re.search(pattern, text, re.IGNORECASE) is not None


def _any_case(word: str) -> str:
    """A regular expression for ``word`` in any letter case, without lookarounds."""
    pieces = []
    for char in word:
        cases = {char.lower(), char.upper()} if len(char.lower() + char.upper()) == 2 else {char}
        escaped = [re.escape(case).replace("/", "\\/") for case in sorted(cases)]
        pieces.append(escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})")
    return "".join(pieces)
