"""Writers of further formats, from installed packages (entry points ``dvl2.writers``)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any, Protocol

from dvl2_cli.errors import OutputError, UsageError
from dvl2_cli.results.envelope import Envelope


class WriterPlugin(Protocol):
    """What a writer plugin provides; the entry point's name is the format's name.

    It may have a ``suffix`` for the files of ocr, and ``needs_boxes`` where every line of a
    page must have a place.
    """

    command: str  # "ground", "ocr" or "caption"

    def files(self, results: Sequence[Any]) -> dict[str, str]:
        """Relative file name -> text, from the results of the command."""


class PluginWriter:
    """A plugin whose faults are reported as its own."""

    def __init__(self, name: str, plugin: WriterPlugin) -> None:
        self.name = name
        self.suffix = str(getattr(plugin, "suffix", f".{name}"))
        self.needs_boxes = bool(getattr(plugin, "needs_boxes", False))
        self._plugin = plugin

    def files(self, results: Sequence[Envelope]) -> dict[str, str]:
        """Relative file name -> text.

        Raises:
            OutputError: the plugin fails, or gives something else.
        """
        try:
            files = dict(self._plugin.files(results))
        except Exception as error:  # a plugin is foreign code: any failure is its own
            reason = f"{type(error).__name__}: {error}"
            raise OutputError(f"the writer plugin {self.name!r} failed: {reason}") from error
        wrong = next((key for key, text in files.items() if not isinstance(text, str)), None)
        if wrong is not None:
            raise OutputError(f"the writer plugin {self.name!r} gave no text for {wrong!r}")
        return files

    def text(self, results: Sequence[Envelope]) -> str:
        """The text of the one file that ``results`` make.

        Raises:
            OutputError: the plugin fails, or makes none or several.
        """
        files = self.files(results)
        if len(files) != 1:
            made = ", ".join(files) or "none"
            raise OutputError(f"the writer plugin {self.name!r} made not one file but {made}")
        return next(iter(files.values()))


class PluginPages:
    """A plugin as the writer of an ocr document: asked once, when its pages are complete."""

    def __init__(self, writer: PluginWriter) -> None:
        self.suffix = writer.suffix
        self.needs_boxes = writer.needs_boxes
        self._writer = writer
        self._pages: list[Envelope] = []

    def head(self, title: str) -> str:
        """Nothing."""
        del title
        self._pages = []
        return ""

    def page(self, result: Envelope, index: int) -> str:
        """Nothing yet."""
        del index
        self._pages.append(result)
        return ""

    def foot(self) -> str:
        """The document."""
        return self._writer.text(self._pages)


def find_writer(command: str, name: str, known: Sequence[str]) -> PluginWriter:
    """The plugin for ``-f name`` of ``command``.

    Raises:
        UsageError: no format of this name.
        OutputError: the plugin does not load.
    """
    for point in entry_points(group="dvl2.writers", name=name):
        try:
            plugin: WriterPlugin = point.load()
            suits = plugin.command == command
        except Exception as error:  # a plugin is foreign code: any failure is its own
            raise OutputError(f"the writer plugin {name!r} does not load: {error}") from error
        if suits:
            return PluginWriter(name, plugin)
    raise UsageError(f"-f {name}: no such format", f"One of {', '.join(known)}.")
