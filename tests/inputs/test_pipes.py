from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from PIL import Image

from dvl2_cli.errors import InputError
from dvl2_cli.inputs.load import Reading, load_pictures
from dvl2_cli.inputs.picture import InputLimits
from tests.inputs.reading import encoded

PNG = encoded(Image.new("RGB", (20, 10), "red"), "PNG")


def test_a_pipe_is_read_when_somebody_writes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")

    def write() -> None:
        with (tmp_path / "a").open("wb") as stream:
            stream.write(PNG[:20])
            stream.flush()
            stream.write(PNG[20:])

    writer = threading.Thread(target=write)
    writer.start()
    (picture,) = load_pictures(tmp_path / "a")
    writer.join()
    assert picture.width == 20


def test_a_pipe_to_which_nobody_writes_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    with pytest.raises(InputError, match="nobody writes to the pipe"):
        list(load_pictures(tmp_path / "a", reading=Reading(limits=InputLimits(pipe_seconds=0.1))))


def test_a_pipe_without_end_meets_the_limit(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")

    def write() -> None:
        try:
            with (tmp_path / "a").open("wb") as stream:
                while True:
                    stream.write(bytes(2**16))
        except BrokenPipeError:
            return

    writer = threading.Thread(target=write)
    writer.start()
    limits = InputLimits(file_bytes=2**20)
    with pytest.raises(InputError, match="is over 1 MiB"):
        list(load_pictures(tmp_path / "a", reading=Reading(limits=limits)))
    writer.join()


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_devices_are_no_pictures(device: str) -> None:
    with pytest.raises(InputError, match="is a device"):
        list(load_pictures(device))
