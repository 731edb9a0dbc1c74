"""Several questions about one picture: it is encoded once, and the prompt is not read again.

python examples/several_questions.py PICTURE "How many?" "What colour?" ...
"""

from __future__ import annotations

import sys

from PIL import Image

from dvl2_cli.engine.engine import Engine
from dvl2_cli.engine.events import Finished, Started
from dvl2_cli.engine.opening import open_engine
from dvl2_cli.engine.request import Message, Request, Sampling
from dvl2_cli.engine.session import Session
from dvl2_cli.options import CommonOptions


def ask(engine: Engine, picture: Image.Image, question: str) -> tuple[str, int]:
    """An answer, and how many tokens of the prompt did not have to be read again."""
    message = Message("user", question, (picture,))
    reused, text = 0, ""
    for event in engine.stream(Request((message,), Sampling(max_new_tokens=64))):
        if isinstance(event, Started):
            reused = event.reused_tokens
        if isinstance(event, Finished):
            text = event.text
    return text, reused


def main(path: str, questions: list[str], model: str | None = None) -> list[tuple[str, int]]:
    """Answer every question with one engine."""
    engine = open_engine(Session(CommonOptions(model=model)))
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    return [ask(engine, picture, question) for question in questions]


if __name__ == "__main__":
    for answer, reused_tokens in main(sys.argv[1], sys.argv[2:]):
        print(f"{answer}  ({reused_tokens} prompt tokens reused)")
