from __future__ import annotations

from pathlib import Path

import pytest

from dvl2_cli.schema.source import read_schema
from dvl2_cli.settings import read_settings_text
from dvl2_cli.texts import decode_text

CODECS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("text", ["", "model = 'é'\n", '{"type": "object"}'])
def test_texts_of_every_encoding_are_read(codec: str, text: str) -> None:
    assert decode_text(text.encode(codec)) == text


def test_what_is_no_text_is_an_error() -> None:
    for data in (b"\xff\xfea", b"caf\xe9", b"\xed\xa0\x80"):
        with pytest.raises(UnicodeDecodeError):
            decode_text(data)


@pytest.mark.parametrize("codec", CODECS)
def test_settings_and_schemas_may_be_written_by_any_editor(tmp_path: Path, codec: str) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_bytes('model = "nano"\n'.encode(codec))
    assert read_settings_text(settings) == 'model = "nano"\n'
    schema = tmp_path / "a.json"
    schema.write_bytes(b'{"type": "object", "properties": {}}'.decode().encode(codec))
    assert read_schema(str(schema)).document["type"] == "object"
