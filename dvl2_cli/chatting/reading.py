"""The text of a picture inside a conversation, read as ``dvl2 ocr`` reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dvl2_cli.tasks.ocr import ocr
from dvl2_cli.ui.stream import PlainView, show_whole

if TYPE_CHECKING:
    from dvl2_cli.chatting.conversation import Conversation
    from dvl2_cli.inputs.picture import Picture


def show_text(chat: Conversation, picture: Picture) -> None:
    """Read ``picture`` by the model's policy and show its text, which the talk does not keep."""
    pieces: list[str] = []
    view = PlainView(chat.output)

    def show(piece: str) -> None:
        pieces.append(piece)
        view.feed(piece)

    with chat.context(stats=True) as context:
        try:
            result = ocr(context, picture, on_text=show)
        finally:
            view.close()
    text = result.text or ""
    if "".join(pieces).strip() != text.strip():
        show_whole(PlainView(chat.output), text)  # not what came at first
    for warning in result.warnings:
        if warning not in picture.notes:
            chat.console.warn(warning)
