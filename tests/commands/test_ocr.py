from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from PIL import Image

from dvl2_cli.engine.request import Request
from tests.commands.conftest import Cli, picture
from tests.fakes import FakeEngine

MARKDOWN = "# Invoice 1042\n\n| Item | Qty |\n|---|---|\n| Bolt | 4 |\n\nTotal **41.20**"
TEXT = "Invoice 1042\nTotal 41.20"


def scripted(request: Request) -> str:
    question = request.messages[0].content
    answers = {
        "Read the text": TEXT,
        "to Markdown": MARKDOWN,
        "What is the total?": "41.20",
        "What is the date?": "There is no date in this document.",
        "What is the name?": "Jane Smith",
        "Extract as JSON": '{"total": 41.2}',
        "Total": "<|ref|>Total<|/ref|><|det|>[[100, 500, 900, 600]]<|/det|>",
    }
    return next((text for key, text in answers.items() if key in question), "nothing there")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return picture(tmp_path / "page.png", size=(600, 800))


@pytest.fixture
def document(tmp_path: Path) -> Path:
    pages = [Image.new("RGB", (100, 140), colour) for colour in ("white", "red", "blue")]
    pages[0].save(tmp_path / "doc.pdf", save_all=True, append_images=pages[1:])
    return tmp_path / "doc.pdf"


def test_a_page_as_json(cli: Cli, page: Path) -> None:
    (row,) = cli("ocr", page, engine=FakeEngine(scripted)).rows
    assert row["text"] == TEXT
    assert [block["text"] for block in row["blocks"]] == TEXT.splitlines()
    assert row["blocks"][0]["box"] is None
    assert row["quality"]["loop_detected"] is False


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        ("text", TEXT + "\n"),
        ("md", MARKDOWN + "\n"),
        ("csv", "Item,Qty\nBolt,4\n"),
        ("tsv", "1\t0\tline\t\t\t\t\t\t\tInvoice 1042\n"),
        ("html", "<td>Bolt</td>"),
    ],
)
def test_text_formats(cli: Cli, page: Path, form: str, wanted: str) -> None:
    done = cli("ocr", page, "-f", form, engine=FakeEngine(scripted))
    assert wanted in done.out
    assert done.code == 0


def test_text_keeps_the_fields_that_were_asked_for(cli: Cli, page: Path) -> None:
    done = cli("ocr", page, "-f", "text", "--fields", "total,date", engine=FakeEngine(scripted))
    assert done.out == TEXT + "\n\ntotal: 41.20\ndate: \n"


def test_tables_are_as_wide_as_their_widest_row(cli: Cli, page: Path) -> None:
    table = "| Item | Qty |\n|---|---|\n| Bolt | 4 | 1.20 |\n| Nut | 2 |"
    words = ("ocr", page, "-f")
    done = cli(*words, "md", engine=FakeEngine(table))
    assert [line.count("|") for line in done.out.splitlines()] == [4, 4, 4, 4]
    assert "<td>1.20</td>" in cli(*words, "html", engine=FakeEngine(table)).out
    assert "Bolt,4,1.20" in cli(*words, "csv", engine=FakeEngine(table)).out
    uneven = "| Item |\n|---|---|\n| Bolt | 4 |"
    assert "<td>4</td>" in cli(*words, "html", engine=FakeEngine(uneven)).out


def test_pages_of_a_document_follow_each_other(cli: Cli, document: Path) -> None:
    done = cli("ocr", document, "-f", "text", engine=FakeEngine("words"))
    assert done.out == "words\n\fwords\n\fwords\n"
    rows = cli("ocr", document, "--pages", "2-", engine=FakeEngine("words")).rows
    assert [row["source"]["page"] for row in rows] == [2, 3]


def test_a_page_that_fails_does_not_stop_the_document(
    cli: Cli, document: Path, page: Path, tmp_path: Path
) -> None:
    done = cli(
        "ocr", document, tmp_path / "no.png", page, "--pages", "1,9", "--dpi", "40",
        engine=FakeEngine("words"),
    )  # fmt: skip
    assert [row["status"] for row in done.rows] == ["ok", "failed", "failed", "ok"]
    assert done.code == 1


@pytest.mark.parametrize("form", ["hocr", "alto"])
def test_formats_with_boxes_refuse_to_invent_them(cli: Cli, page: Path, form: str) -> None:
    engine = FakeEngine(scripted)
    done = cli("ocr", page, "-f", form, engine=engine)
    assert done.code == 2
    assert "--boxes" in done.err
    assert engine.requests == []


def test_hocr_names_the_source_of_its_boxes(cli: Cli, page: Path) -> None:
    done = cli("ocr", page, "-f", "hocr", "--boxes", "model", engine=FakeEngine(scripted))
    root = Xml.fromstring(done.out.encode())
    lines = root.findall(".//{*}span[@class='ocr_line']")
    assert [(line.text, line.get("title")) for line in lines] == [
        ("Invoice 1042", "bbox 0 0 600 800; x_source page"),
        ("Total 41.20", "bbox 60 400 541 480; x_source model"),
    ]
    assert "1 of 2 lines could not be located" in done.err


def test_alto_is_well_formed_and_names_the_source(cli: Cli, page: Path) -> None:
    done = cli("ocr", page, "-f", "alto", "--boxes", "model", engine=FakeEngine(scripted))
    root = Xml.fromstring(done.out.encode())
    (line,) = root.findall(".//{*}String")
    assert line.get("CONTENT") == "Total 41.20"
    tags = {tag.get("ID") for tag in root.findall(".//{*}OtherTag")}
    assert line.get("TAGREFS") in tags


def test_fields_are_null_where_absent_and_checked_against_the_text(cli: Cli, page: Path) -> None:
    (row,) = cli("ocr", page, "--fields", "total, date,name", engine=FakeEngine(scripted)).rows
    assert row["fields"] == {"total": "41.20", "date": None, "name": "Jane Smith"}
    assert row["warnings"] == ["field name: 'Jane Smith' is not in the text that was read"]


def test_fields_by_schema(cli: Cli, page: Path) -> None:
    engine = FakeEngine(scripted)
    (row,) = cli("ocr", page, "--schema", "total float", engine=engine).rows
    assert row["fields"] == {"total": 41.2}
    assert engine.requests[1].constraint is not None
    done = cli("ocr", page, "--schema", "total float, paid bool", engine=FakeEngine(scripted))
    assert done.code == 5
    assert done.rows[0]["fields"] is None
    lenient = ("--schema", "total float, paid bool", "--schema-lenient")
    done = cli("ocr", page, *lenient, engine=FakeEngine(scripted))
    assert (done.code, done.rows[0]["fields"]) == (0, {"total": 41.2})
    (warning,) = done.rows[0]["warnings"]
    assert warning == "the answer breaks --schema at $: 'paid' is a required property"


def test_a_loop_is_retried_and_flagged(cli: Cli, page: Path) -> None:
    engine = FakeEngine("again and " * 40, finish_reason="loop")
    done = cli("ocr", page, engine=engine)
    assert done.code == 5
    assert done.rows[0]["quality"]["degenerate"] is True
    assert done.rows[0]["status"] == "partial"
    assert any(item.sampling.repetition_penalty > 1 for item in engine.requests)


def test_one_file_for_each_document(cli: Cli, document: Path, page: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = cli("ocr", document, page, "-f", "md", "-o", out, engine=FakeEngine("words"))
    assert sorted(path.name for path in out.iterdir()) == ["doc.md", "page.md"]
    assert (out / "doc.md").read_text(encoding="utf-8").count("words") == 3
    assert done.out == ""


def test_bytes_of_the_model_reach_no_terminal_format_as_markup(cli: Cli, page: Path) -> None:
    done = cli("ocr", page, "-f", "html", engine=FakeEngine("<script>alert(1)</script>"))
    assert "<script>" not in done.out
