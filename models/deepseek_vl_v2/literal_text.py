"""Text from outside to ids: what it spells is text, whatever a tokenizer makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tokenizers import Tokenizer

# What control tokens look like that a tokenizer.json does not call special.
_MARKUP = re.compile(r"<[|｜].*[|｜]>", re.DOTALL)


class TokenizerError(ValueError):
    """A tokenizer whose patterns fail on a text."""


class LiteralEncoder:
    """Encodes text with every control token spelled out, but for the ``allowed`` ones.

    Args:
        tokenizer: with all tokens that the processor adds.
        allowed: special tokens that a text may use; there may be none.
    """

    def __init__(self, tokenizer: Tokenizer, allowed: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        vocabulary = tokenizer.get_vocab()
        self._allowed = {token: vocabulary[token] for token in allowed}
        self._tags = re.compile(f"({'|'.join(map(re.escape, allowed))})") if allowed else None
        control = {
            number: token.content
            for number, token in tokenizer.get_added_tokens_decoder().items()
            if token.content not in self._allowed
            and len(token.content) > 1
            and (token.special or _MARKUP.fullmatch(token.content))
        }
        self._control = frozenset(control)
        # Looks ahead, so that tokens that overlap are all found.
        self._spelled = re.compile("|".join(f"(?={re.escape(text)})" for text in control.values()))

    def __call__(self, text: str) -> list[int]:
        """The ids of ``text``; none of them is a control token."""
        ids: list[int] = []
        for piece in self._tags.split(text) if self._tags else (text,):
            if piece in self._allowed:
                ids.append(self._allowed[piece])
            elif piece:
                ids += self._encode(piece)
        return ids

    def _encode(self, text: str) -> list[int]:
        ids = self._plain(text)
        if self._control.isdisjoint(ids):
            return ids
        # Not marked as special, so the tokenizer reads it: no piece may hold a whole one.
        ids = [number for piece in self._broken(text) for number in self._plain(piece)]
        if self._control.isdisjoint(ids):
            return ids
        # A normaliser made one of other letters.
        return [number for letter in text for number in self._plain(letter)]

    def _plain(self, text: str) -> list[int]:
        try:
            self._tokenizer.encode_special_tokens = True
            return self._tokenizer.encode(text, add_special_tokens=False).ids
        except BaseException as error:
            # The tokenizers library panics where a pattern takes too many steps.
            if type(error).__name__ != "PanicException":
                raise
            raise TokenizerError(f"tokenizer.json cannot split this text: {error}") from error
        finally:
            self._tokenizer.encode_special_tokens = False

    def _broken(self, text: str) -> Iterator[str]:
        start = 0
        for match in self._spelled.finditer(text):
            yield text[start : match.start() + 1]
            start = match.start() + 1
        yield text[start:]
