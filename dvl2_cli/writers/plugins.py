"""Writers of further formats, from installed packages (entry points ``dvl2.writers``)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any, Protocol

from dvl2_cli.errors import OutputError, UsageError


class WriterPlugin(Protocol):
    """What a writer plugin provides; the entry point's name is the format's name."""

    command: str  # "ground", "ocr" or "caption"

    def files(self, results: Sequence[Any]) -> dict[str, str]:
        """Relative file name -> text, from the results of the command."""


def find_writer(command: str, name: str, known: list[str]) -> WriterPlugin:
    """The plugin for ``-f name`` of ``command``.

    Raises:
        UsageError: no format of this name.
        OutputError: the plugin does not load.
    """
    for point in entry_points(group="dvl2.writers", name=name):
        try:
            writer: WriterPlugin = point.load()
        except Exception as error:  # a plugin is foreign code: any failure is its own
            raise OutputError(f"the writer plugin {name!r} does not load: {error}") from error
        if writer.command == command:
            return writer
    raise UsageError(f"-f {name}: no such format", f"One of {', '.join(known)}.")
