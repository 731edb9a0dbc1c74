"""Messages: pictures stand beside the text, and the text is Unicode."""

from __future__ import annotations

import pytest
from PIL import Image

from deepseek_vl_v2.format.template import Verbatim
from dvl2_cli.engine.request import Constraint, Message, Request, Role
from dvl2_cli.errors import UsageError

PICTURE, OTHER = Image.new("RGB", (2, 2)), Image.new("RGB", (3, 3))


def test_pictures_come_first_each_on_its_line() -> None:
    message = Message("user", "what is <image>?", (PICTURE, OTHER))
    assert message.parts() == (PICTURE, "\n", OTHER, "\n", "what is <image>?")
    assert message.shown == "<image>\n<image>\nwhat is <image>?"


def test_pictures_stand_where_they_are_placed() -> None:
    message = Message("user", "Is this in that?", (PICTURE, OTHER), (8, 16))
    assert message.parts() == ("Is this ", PICTURE, "in that?", OTHER)


@pytest.mark.parametrize("places", [(), (1, 2), (5,), (-1,)])
def test_places_that_do_not_fit(places: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="for 1 images"):
        Message("user", "text", (PICTURE,), places)


def test_words_from_outside_are_parts_by_themselves() -> None:
    message = Message("user", "Is <|ref|> in that?", (PICTURE, OTHER), (5, 14), literal=((3, 10),))
    parts = ("Is ", Verbatim("<|"), PICTURE, Verbatim("ref|>"), " in ", OTHER, "that?")
    assert message.parts() == parts
    assert message.shown == "Is <|<image>ref|> in <image>that?"


@pytest.mark.parametrize("literal", [((0, 5),), ((2, 1),), ((-1, 2),), ((0, 3), (2, 4))])
def test_literal_spans_that_do_not_fit(literal: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="in 4 characters"):
        Message("user", "text", literal=literal)


@pytest.mark.parametrize("text", ["st\udce4r", "half \ud83d of a pair", "\udfff"])
def test_text_that_is_not_unicode_is_one_error(text: str) -> None:
    roles: tuple[Role, ...] = ("system", "user", "assistant")
    for role in roles:
        with pytest.raises(UsageError, match="is not UTF-8 text: character"):
            Message(role, text)
    with pytest.raises(UsageError, match="the schema is not UTF-8 text"):
        Constraint("json_schema", text)
    with pytest.raises(UsageError, match="a stop string is not UTF-8 text"):
        Request((Message("user", "x"),), stop=("ok", text))
