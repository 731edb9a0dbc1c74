"""Boxes inside a conversation: asked apart from it, listed, and drawn where it can be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.color import Color
from rich.style import Style
from rich.text import Text

from dvl2_cli.tasks.ground import GroundOptions, ground
from dvl2_cli.ui.boxes import LabelledBox, colour_of
from dvl2_cli.ui.control import printable
from dvl2_cli.ui.picture import TerminalPicture

if TYPE_CHECKING:
    from dvl2_cli.chatting.conversation import Conversation
    from dvl2_cli.inputs.picture import Picture

_ROWS = 16


def show_objects(chat: Conversation, phrase: str, picture: Picture) -> None:
    """Ask for the boxes of ``phrase`` in ``picture`` and show them, in pixels."""
    with chat.context(stats=True) as context:
        result = ground(context, picture, GroundOptions((phrase,)))
    for warning in result.warnings[len(picture.notes) :]:
        chat.console.warn(warning)
    if not result.objects:
        chat.output.line("nothing found")
        return
    boxes = [LabelledBox(item.box, item.label, item.id) for item in result.objects]
    if chat.show_images and chat.console.colour:
        chat.rich.print(TerminalPicture(picture.image, boxes, most_rows=_ROWS))
    for box in boxes:
        chat.rich.print(_line(box, picture), highlight=False, soft_wrap=True)


def _line(item: LabelledBox, picture: Picture) -> Text:
    """A patch of the box's colour, its name, its place."""
    corners = "{:.0f}, {:.0f} to {:.0f}, {:.0f}".format(*item.box)
    text = f"{item.label}  {corners}  (pixels of {picture.width} x {picture.height})"
    patch = ("\N{BLACK SQUARE} ", Style(color=Color.from_rgb(*colour_of(item))))
    return Text.assemble(patch, printable(text))
