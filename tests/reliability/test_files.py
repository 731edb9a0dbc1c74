"""Files and folders as they are met: no room, no permission, odd names, loops, pipes, rivals."""

from __future__ import annotations

import csv
import io
import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import picture
from tests.commands.fake_process import Process, folder_of
from tests.reliability.conditions import bound_by_permissions, limited_to, remount, small_disk

pytestmark = [
    pytest.mark.slow,  # processes, most of them several
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX file systems"),
]


def rows_of(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


def test_a_full_disk_leaves_nothing_half_written_and_the_run_goes_on_later(tmp_path: Path) -> None:
    inside = folder_of(tmp_path, 12)
    process = Process(tmp_path, answer="word " * 400)
    table = tmp_path / "disk" / "rows.ndjson"
    with small_disk(table.parent, "36k"):
        done = process.run("caption", inside, "-o", table)
        assert done.returncode == 1
        assert b"No space left on device" in done.stderr
        assert b"Traceback" not in done.stderr
        assert [path.name for path in table.parent.iterdir()] == [".rows.ndjson.journal"]
        first = process.asked()
        assert 0 < first < 12
        remount(table.parent, "size=1m")
        assert process.run("caption", inside, "-o", table).returncode == 0
        assert len(table.read_bytes().splitlines()) == 12
        assert process.asked() <= 13
        assert hidden(table.parent) == []


def test_a_full_disk_fails_the_sidecars_that_do_not_fit(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        inside = folder_of(disk, 6)
        (disk / "ballast").write_bytes(bytes(64 * 1024 - 4096 * 9))
        done = Process(tmp_path, answer="word " * 400).run("caption", inside, "--sidecar", ".txt")
        rows = rows_of(done.stdout)
        states = {row["status"] for row in rows}
        written = [row["written"] for row in rows if row["status"] == "ok"]
        assert done.returncode == 1
        assert states == {"ok", "failed"}
        assert all(Path(name).read_bytes() == b"word " * 399 + b"word\n" for (name,) in written)
        assert len(list(inside.glob("*.txt"))) == len(written)
        assert hidden(inside) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("caption", "in", "-o", "rows.csv"),
        ("caption", "in", "-o", "rows.parquet"),
        ("caption", "in", "--sidecar", ".txt", "--xmp"),
        ("ocr", "in", "-o", "pages", "-f", "html"),
        ("ground", "in", "car", "--draw", "drawn"),
    ],
)
def test_a_file_that_grows_too_large_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    if "rows.parquet" in arguments:
        pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    folder_of(tmp_path, 3)
    answer = "<|ref|>car<|/ref|><|det|>[[1, 2, 300, 400]]<|/det|> " + "word " * 4000
    done = Process(tmp_path, answer=answer).run(*arguments, preexec_fn=limited_to(600))
    assert done.returncode == 1
    assert b"File too large" in done.stderr
    assert b"Traceback" not in done.stderr
    outputs = [path for path in tmp_path.rglob("*") if path.is_file()]
    known = {"log", "script.json"} | {f"{index:03}.png" for index in range(3)}
    assert [path for path in outputs if path.name not in known and path.suffix != ".journal"] == []


def test_a_read_only_file_system(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        inside = folder_of(disk, 2)
        remount(disk, "ro")
        process = Process(tmp_path)
        beside = process.run("caption", inside, "--sidecar", ".txt")
        table = process.run("caption", inside, "-o", disk / "t.csv")
        pages = process.run("ocr", inside, "-o", disk / "pages")
        rows = process.run("caption", inside)
    assert [row["status"] for row in rows_of(beside.stdout)] == ["failed", "failed"]
    for done in (beside, table, pages):
        assert done.returncode == 1
        assert b"The file system is read-only: write elsewhere." in done.stderr
        assert b"Traceback" not in done.stderr
    assert rows.returncode == 0


def test_folders_and_files_without_permission(tmp_path: Path) -> None:
    inside = folder_of(tmp_path, 3)
    (inside / "001.png").chmod(0)
    picture(inside / "closed" / "a.png")
    (inside / "closed").chmod(0)
    inside.chmod(0o555)
    process = Process(tmp_path)
    try:
        done = process.run(
            "caption", inside, "-r", "--sidecar", ".txt", preexec_fn=bound_by_permissions
        )
        named = process.run("ocr", inside / "closed" / "a.png", preexec_fn=bound_by_permissions)
    finally:
        inside.chmod(0o755)
        (inside / "closed").chmod(0o755)
    messages = [row["error"]["message"] for row in rows_of(done.stdout)]
    assert [message.split(":")[-1] for message in messages] == [" Permission denied"] * 4
    assert messages[1].startswith("cannot read")
    assert messages[3].startswith("cannot list")
    assert (done.returncode, named.returncode) == (1, 1)
    assert b"Permission denied" in named.stderr
    assert b"Traceback" not in done.stderr + named.stderr


def test_a_state_folder_that_cannot_be_written_only_costs_the_resuming(tmp_path: Path) -> None:
    process = Process(tmp_path)
    (tmp_path / "state").mkdir(mode=0o555)
    for command in ("caption", "ocr"):
        done = process.run(command, folder_of(tmp_path, 2), preexec_fn=bound_by_permissions)
        assert done.returncode == 0, done.stderr
        assert len(rows_of(done.stdout)) == 2
        assert b"if this run is killed, it starts over" in done.stderr


ODD = ("-r.png", "--json.png", " blank .png ", "new\nline.png", "tab\t.png", "{stem}[a]*.png",
       "é红🚗.png", "e\u0301.png", "\u202etxt.png", "~nobody-at-all.png", "%s$HOME`id`.png",
       "quo'te\".png", "[red].png", "a" * 251 + ".png", "🚗" * 60 + ".png")  # fmt: skip


def test_odd_names_in_a_folder_and_in_lists(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    for name in ODD:
        picture(inside / "plain.png").rename(inside / name)
    raw = os.fsdecode(b"bytes\xff\xfe.png")
    picture(inside / "plain.png").rename(inside / raw)
    names = sorted(path.name for path in inside.iterdir())
    process = Process(tmp_path)
    listed = process.run("caption", inside)
    read = process.run(
        "caption", "-", cwd=inside, input=b"\0".join(os.fsencode(name) for name in names)
    )
    named = process.run("caption", "-q", "--", *names, cwd=inside)
    # A folder's listing takes what ends as a picture's name does.
    assert [Path(row["source"]["path"]).name for row in rows_of(listed.stdout)] == [
        name for name in names if name != " blank .png "
    ]
    for done in (read, named):
        rows = rows_of(done.stdout)
        assert [row["source"]["path"] for row in rows] == names
        assert done.returncode == 0, done.stderr


def test_odd_names_of_outputs(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    odd = [os.fsdecode(b"bytes\xff.png"), "new\nline.png", "a" * 249 + ".png", "🚗" * 62 + ".png"]
    for name in odd:
        picture(inside / "plain.png").rename(inside / name)
    process = Process(tmp_path)
    template = "{name}: {caption}"
    done = process.run("caption", inside, "--sidecar", ".txt", "--xmp", "--template", template)
    assert done.returncode == 0, done.stderr
    assert len(list(inside.glob("*.txt"))) == len(odd)
    assert b"\xef\xbf\xbd.png: A picture" in (inside / os.fsdecode(b"bytes\xff.txt")).read_bytes()
    for form in ("csv", "ndjson"):
        table = tmp_path / f"t.{form}"
        assert process.run("caption", inside, "-o", table, "--template", template).returncode == 0
        rows = list(csv.reader(io.StringIO(table.read_text(encoding="utf-8"))))
        assert len(rows) == len(odd) + (form == "csv")
    pages = process.run("ocr", inside, "-o", tmp_path / "pages", "-f", "html")
    assert pages.returncode == 0, pages.stderr
    assert len(list((tmp_path / "pages").iterdir())) == len(odd)
    assert hidden(tmp_path) == []


def test_a_sidecar_whose_name_is_too_long_is_one_failed_row(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    picture(inside / "plain.png").rename(inside / ("a" * 251 + ".png"))
    done = Process(tmp_path).run("caption", inside, "--sidecar", ".caption", "--xmp")
    (row,) = rows_of(done.stdout)
    assert row["error"]["message"].endswith("File name too long")
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "~nobody-at-all/a.png", "a\nb", "loop.png"])
def test_names_without_a_file_are_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop.png").symlink_to("loop.png")
    done = Process(tmp_path).run("ocr", name, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"dvl2: ")


def test_a_damaged_picture_is_one_line_whatever_its_decoder_says(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    picture(path)
    data = path.read_bytes()
    samples = struct.pack("<HHIH", 277, 3, 1, 3)
    assert samples in data
    path.write_bytes(data.replace(samples, struct.pack("<HHIH", 277, 3, 1, 259)))
    done = Process(tmp_path).run("ocr", path)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1, done.stderr


def test_loops_pipes_devices_and_sockets_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = folder_of(tmp_path, 1)
    (inside / "again.png").symlink_to(inside)
    (inside / "loop.png").symlink_to("loop.png")
    (inside / "nowhere.png").symlink_to("gone")
    (inside / "sub").symlink_to(inside, target_is_directory=True)
    (inside / "zero.png").symlink_to("/dev/zero")
    os.mkfifo(inside / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(inside)  # the path of a socket is short
        listener.bind("socket.png")
        done = Process(tmp_path).run("caption", inside, "-r")
    rows = {Path(row["source"]["path"]).name: row for row in rows_of(done.stdout)}
    assert done.returncode == 1
    assert rows["000.png"]["status"] == "ok"
    said = {name: row["error"]["message"] for name, row in rows.items() if row["error"]}
    assert said["again.png"].endswith("is a folder")
    assert "symbolic links" in said["loop.png"]
    assert said["nowhere.png"].startswith("no such file")
    assert all("not a file" in said[name] for name in ("zero.png", "pipe.png", "socket.png"))


def test_folders_deeper_than_python_can_recurse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / "in"
    deep.mkdir()
    picture(tmp_path / "a.png")
    monkeypatch.chdir(deep)
    for _ in range(1200):
        Path("d").mkdir()
        os.chdir("d")
    Path("a.png").symlink_to(tmp_path / "a.png")
    os.chdir(tmp_path)
    done = Process(tmp_path).run("caption", "in", "-r", cwd=tmp_path)
    subprocess.run(["rm", "-r", str(deep)], check=True)  # Python's own cannot
    (row,) = rows_of(done.stdout)
    assert row["status"] == "ok"
    assert row["source"]["path"].count("/d") == 1200


def test_a_pipe_that_is_named_is_read(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", size=(77, 40))
    process = Process(tmp_path)
    words = ["bash", "-c", f'"$@" <(cat {path}) /dev/null', "bash", *process.command("caption")]
    done = subprocess.run(words, capture_output=True, env=process.environment, check=False)
    rows = rows_of(done.stdout)
    assert rows[0]["caption"] == "A picture of 77x40 pixels."
    assert rows[1]["error"]["message"] == "/dev/null is a device or a socket, not a file"


def test_two_pictures_do_not_share_a_sidecar(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    picture(inside / "a.png", size=(50, 40))
    picture(inside / "a.jpg", size=(60, 40))
    process = Process(tmp_path)
    skipped = process.run("caption", inside, "--sidecar", ".txt")
    assert [row["skipped"] for row in rows_of(skipped.stdout)] == [None, f"{inside}/a.txt exists"]
    done = process.run("caption", inside, "--sidecar", ".txt", "--existing", "append")
    first, second = rows_of(done.stdout)
    assert first["written"] == [f"{inside}/a.txt"]
    assert second["error"]["message"] == f"{inside}/a.txt has the caption of {inside}/a.jpg"
    caption = "A picture of 60x40 pixels.\n"
    assert (inside / "a.txt").read_text(encoding="utf-8") == caption * 2


def test_two_runs_into_one_table_take_turns(tmp_path: Path) -> None:
    inside = folder_of(tmp_path, 6)
    process = Process(tmp_path, delay=0.1)
    pair = [process.start("caption", inside, "-o", tmp_path / "t.csv") for _ in range(2)]
    errors = [running.communicate(timeout=60)[1] for running in pair]
    codes = sorted(running.returncode for running in pair)
    # The second met the first, or came when it was done.
    assert codes in ([0, 1], [0, 0]), errors
    assert codes[1] == 0 or any(b"another run is writing" in text for text in errors)
    assert len((tmp_path / "t.csv").read_bytes().splitlines()) == 7
    assert hidden(tmp_path) == []


def test_two_runs_into_one_folder_leave_whole_files(tmp_path: Path) -> None:
    inside = folder_of(tmp_path, 6)
    process = Process(tmp_path, delay=0.05)
    out = tmp_path / "pages"
    pair = [process.start("ocr", inside, "-o", out, "-f", form) for form in ("text", "text")]
    for running in pair:
        _, errors = running.communicate(timeout=60)
        assert running.returncode == 0, errors
    texts = sorted(path.read_text(encoding="utf-8") for path in out.iterdir())
    assert texts == [f"A picture of {100 + index}x40 pixels.\n" for index in range(6)]
    assert hidden(tmp_path) == []
