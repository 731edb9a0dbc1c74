"""dvl2 from Python: describe a picture, find something in it, and ask about it.

python examples/describe_and_find.py PICTURE "red car"
"""

from __future__ import annotations

import sys

from dvl2_cli import Model
from dvl2_cli.engine.events import Token


def main(picture: str, phrase: str) -> None:
    """Write the caption, the boxes and an answer, which is shown while it is written."""
    with Model() as model:
        print("caption:", model.caption(picture, length="short").caption)
        for box in model.ground(picture, phrase).boxes:
            print(f"{phrase}:", *(round(side) for side in box))
        print("answer: ", end="")
        for event in model.ask(picture, f"Is there a {phrase} in this image?"):
            if isinstance(event, Token):
                print(event.text, end="", flush=True)
        print()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
