"""Boxes inside a conversation: asked apart from it, listed, and drawn where it can be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.color import Color
from rich.style import Style
from rich.text import Text

from dvl2_cli import prompts
from dvl2_cli.engine.request import Constraint
from dvl2_cli.results.doubts import doubts
from dvl2_cli.tasks.grounding.grammar import objects_grammar
from dvl2_cli.tasks.grounding.locating import Located, ground_result
from dvl2_cli.tasks.grounding.second_look import look_again
from dvl2_cli.ui.boxes import LabelledBox, colour_of
from dvl2_cli.ui.control import printable
from dvl2_cli.ui.picture import TerminalPicture

if TYPE_CHECKING:
    from PIL.Image import Image

    from dvl2_cli.chatting.conversation import Conversation
    from dvl2_cli.engine.events import Finished
    from dvl2_cli.inputs.picture import Picture

_ROWS = 16


def show_objects(chat: Conversation, phrase: str, picture: Picture) -> None:
    """Ask for the boxes of ``phrase`` in ``picture`` and show them, in pixels."""
    constraint = Constraint("lark", objects_grammar())

    def ask(image: Image, about: str) -> Finished:
        return chat.ask_apart(prompts.locate(about), [image], constraint)

    told = Located(phrase, ask(picture.image, phrase))
    told = look_again(told, picture.image, ask) if chat.policy.refine_boxes else told
    result = ground_result([told], (picture.width, picture.height))
    for warning in (*result.warnings, *doubts(told.answer.confidence)):
        chat.console.warn(warning)
    if not result.objects:
        chat.output.line("nothing found")
        return
    boxes = [LabelledBox(item.box, item.label, item.id) for item in result.objects]
    if chat.show_images and chat.console.colour:
        chat.rich.print(TerminalPicture(picture.image, boxes, most_rows=_ROWS))
    for box in boxes:
        chat.rich.print(_line(box, picture), highlight=False, soft_wrap=True)
    chat.console.stats(told.answer.usage)


def _line(item: LabelledBox, picture: Picture) -> Text:
    """A patch of the box's colour, its name, its place."""
    corners = "{:.0f}, {:.0f} to {:.0f}, {:.0f}".format(*item.box)
    text = f"{item.label}  {corners}  (pixels of {picture.width} x {picture.height})"
    patch = ("\N{BLACK SQUARE} ", Style(color=Color.from_rgb(*colour_of(item))))
    return Text.assemble(patch, printable(text))
