"""Names, lists and folders: what is found under what people write."""

from __future__ import annotations

import io
import unicodedata
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from dvl2_cli.inputs.load import Reading, load_pictures, read_all
from dvl2_cli.inputs.picture import Picture, Unreadable
from dvl2_cli.inputs.sources import find_sources
from tests.inputs.reading import encoded

PNG = encoded(Image.new("RGB", (20, 10), "red"), "PNG")


def picture_at(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(PNG)
    return path


def on_stdin(data: bytes) -> list[Picture | Unreadable]:
    return list(read_all(["-"], stdin=io.BytesIO(data)))


def names(
    *arguments: str | Path, recursive: bool = True, exclude: tuple[str, ...] = ()
) -> list[str]:
    found = find_sources(arguments, recursive=recursive, exclude=exclude)
    return [Path(item.name).name for item in found if not isinstance(item, Unreadable)]


@pytest.mark.parametrize("form", ["file://{}", "file://localhost{}", "file:{}", "FILE://{}"])
def test_file_addresses_are_paths(tmp_path: Path, form: str) -> None:
    path = picture_at(tmp_path / "my pic #1 é?.png")
    (picture,) = load_pictures(form.format(quote(str(path))))
    assert picture.path == str(path)


def test_a_file_on_another_machine_and_a_file_that_is_missing() -> None:
    (other,) = read_all(["file://server/share/a.png"])
    assert "on server" in other.error.message  # type: ignore[union-attr]
    (missing,) = read_all(["file:///no/such%20file.png"])
    assert missing.error.message == "no such file: /no/such file.png"  # type: ignore[union-attr]


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_lists_in_every_encoding(tmp_path: Path, codec: str) -> None:
    paths = [str(picture_at(tmp_path / name)) for name in ("a.png", "é b.png")]
    found = on_stdin("\r\n".join(paths).encode(codec))
    assert [item.path for item in found] == paths


def test_a_list_of_addresses_has_comments_and_a_list_of_names_has_none(tmp_path: Path) -> None:
    path = picture_at(tmp_path / "a.png")
    picture_at(tmp_path / "#b.png")
    copied = f"# copied\r\n#x\r\nfile://{path}\r\n".encode()
    assert [item.path for item in on_stdin(copied)] == [str(path)]
    assert [item.path for item in on_stdin(f"#x.png\n{path}\n".encode())] == ["#x.png", str(path)]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"<!DOCTYPE html>\n<html>\n<p>404\n", "a web page"),
        (b"<?xml version='1.0'?>\n<error>\n</error>\n", "a web page or XML"),
        (b"<div>\nlogin\n</div>\n", "a web page or XML"),
        (b'{"error":\n "not found"\n}\n', "JSON"),
        (b'\xef\xbb\xbf["a.png",\n "b.png"]\n', "JSON"),
        (b"[\n1,\n2\n]", "JSON"),
        (b"PK\x03\x04\x14\0\0\n\n\n\0\0", "a ZIP archive"),
        (b"\0\0\2\0\0\0\0\0\0\0\0\0\x14\0\x0a\0\x18\0" + bytes(range(256)), "unknown kind"),
        (b"\x01\x02name\n\x03" * 9, "unknown kind"),
    ],
)
def test_stdin_that_is_no_list_is_one_failure_that_says_so(data: bytes, kind: str) -> None:
    (failed,) = on_stdin(data)
    assert isinstance(failed, Unreadable)
    assert failed.path == "-"
    assert kind in failed.error.message
    assert len(failed.error.message) < 100


def test_names_that_begin_with_brackets_are_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("[1] a.png", "{x}.png", "<b>.png"):
        picture_at(Path(name))
        (found,) = on_stdin(f"{name}\n".encode())
        assert isinstance(found, Picture)


def test_names_are_found_in_either_normal_form(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "été") for form in ("NFC", "NFD"))
    path = picture_at(tmp_path / decomposed / composed / f"{decomposed}.png")
    for written in (
        tmp_path / composed / composed / f"{composed}.png",
        tmp_path / decomposed / decomposed / f"{decomposed}.png",
    ):
        (picture,) = load_pictures(written)
        assert picture.path == str(path)
    assert names(tmp_path / composed) == [path.name]
    picture_at(tmp_path / f"{decomposed}1.png")
    assert names(tmp_path / f"{composed}*.png") == [f"{decomposed}1.png"]
    (missing,) = read_all([tmp_path / composed / "no.png"])
    assert isinstance(missing, Unreadable)


MACHINES = ("@eaDir", "#recycle", ".Trash-1000", ".thumbnails", "$RECYCLE.BIN", "__MACOSX")


@pytest.mark.parametrize("folder", MACHINES)
def test_thumbnails_and_wastebaskets_are_left_out_unless_named(tmp_path: Path, folder: str) -> None:
    picture_at(tmp_path / "a.png")
    picture_at(tmp_path / folder / "deep" / "b.png")
    assert names(tmp_path) == ["a.png"]
    assert names(f"{tmp_path}/**/*.png") == ["a.png"]
    assert names(tmp_path / folder) == ["b.png"]
    assert names(f"{tmp_path}/{folder}/*/*.png") == ["b.png"]


def test_what_is_excluded_is_left_out(tmp_path: Path) -> None:
    for name in ("a.png", "a_thumb.png", "small/b.png", "large/small.png", "large/été.png"):
        picture_at(tmp_path / name)
    assert names(tmp_path, exclude=("*_thumb.*",)) == ["a.png", "small.png", "été.png", "b.png"]
    assert names(tmp_path, exclude=("small/", "a*")) == ["small.png", "été.png"]
    assert names(tmp_path, exclude=("large/*",)) == ["a.png", "a_thumb.png", "b.png"]
    decomposed = unicodedata.normalize("NFD", "été.png")
    assert names(tmp_path / "large", exclude=(decomposed,)) == ["small.png"]
    assert names(f"{tmp_path}/**/*.png", exclude=("large", "small")) == ["a.png", "a_thumb.png"]
    assert names(tmp_path / "a.png", exclude=("a.png",)) == ["a.png"]


def test_reading_never_shows_its_password() -> None:
    assert "geheim" not in repr(Reading(password="geheim"))
