"""What prompts left in their caches, for later prompts that begin alike."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence as Items
from dataclasses import dataclass

from dvl2_cli.engine.local.decoder import SequenceCache
from dvl2_cli.engine.local.prompt import common_prefix


@dataclass(frozen=True, slots=True)
class Prefix:
    """A cache that starts with a prompt.

    Attributes:
        keys: one for each position of the prompt; see ``Prompt``.
        cache: holds them.
        nbytes: that it takes.
    """

    keys: Items[object]
    cache: SequenceCache
    nbytes: int


class PrefixStore:
    """The prompts that were read most recently, by content."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, Prefix] = OrderedDict()
        self._count = 0
        self.nbytes = 0

    def longest(self, keys: Items[object]) -> tuple[Prefix | None, int]:
        """The prefix that has most leading positions in common with ``keys``, and how many."""
        best, most = None, 0
        for number, prefix in self._kept.items():
            length = common_prefix(prefix.keys, keys)
            if length > most:
                best, most = number, length
        if best is None:
            return None, 0
        self._kept.move_to_end(best)
        return self._kept[best], most

    def put(self, prefix: Prefix) -> None:
        """Keep one more, in place of those that it begins with."""
        for number, other in list(self._kept.items()):
            if common_prefix(other.keys, prefix.keys) == len(other.keys):
                self._remove(number)
        self._kept[self._count] = prefix
        self._count += 1
        self.nbytes += prefix.nbytes

    def shrink(self, most: int) -> None:
        """Drop the least recently used until at most ``most`` bytes are kept."""
        while self._kept and self.nbytes > most:
            self._remove(next(iter(self._kept)))

    def _remove(self, number: int) -> None:
        self.nbytes -= self._kept.pop(number).nbytes
