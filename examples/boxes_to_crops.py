"""Find an object with dvl2 and cut it out: the command's JSON drives another program.

python examples/boxes_to_crops.py PICTURE "red car" OUT_FOLDER [-m MODEL]
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image


def crop_objects(picture: str, phrase: str, folder: Path, *options: str) -> list[Path]:
    """Save every box that dvl2 finds as a picture; the files that were written."""
    command = [sys.executable, "-m", "dvl2_cli", "ground", picture, phrase, "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    result = json.loads(done.stdout)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with Image.open(picture) as opened:
        for item in result["objects"]:
            path = folder / f"{item['id']:02d}-{item['label'].replace('/', '_')}.png"
            opened.convert("RGB").crop([round(side) for side in item["box"]]).save(path)
            written.append(path)
    return written


if __name__ == "__main__":
    for path in crop_objects(sys.argv[1], sys.argv[2], Path(sys.argv[3]), *sys.argv[4:]):
        print(path)
