"""Boxes inside a conversation: asked apart from it, listed, and drawn where it can be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dvl2_cli import prompts
from dvl2_cli.engine.request import Constraint
from dvl2_cli.grounding.grammar import objects_grammar
from dvl2_cli.grounding.locating import Located, ground_result

if TYPE_CHECKING:
    from dvl2_cli.chatting.conversation import Conversation
    from dvl2_cli.inputs.picture import Picture


def show_objects(chat: Conversation, phrase: str, picture: Picture) -> None:
    """Ask for the boxes of ``phrase`` in ``picture`` and show them, in pixels."""
    constraint = Constraint("lark", objects_grammar())
    answer = chat.ask_apart(prompts.locate(phrase), [picture], constraint)
    result = ground_result([Located(phrase, answer)], (picture.width, picture.height))
    for warning in result.warnings:
        chat.console.warn(warning)
    if not result.objects:
        chat.output.line("nothing found")
        return
    if chat.show_images and chat.console.colour:
        from dvl2_cli.ui.boxes import LabelledBox, draw_boxes
        from dvl2_cli.ui.picture import TerminalPicture

        boxes = [LabelledBox(item.box, item.label) for item in result.objects]
        chat.rich.print(TerminalPicture(draw_boxes(picture.image, boxes).image))
    for item in result.objects:
        corners = "{:.0f}, {:.0f} to {:.0f}, {:.0f}".format(*item.box)
        chat.output.line(f"{item.label}  {corners}  (pixels of {picture.width} x {picture.height})")
    chat.console.stats(answer.usage)
