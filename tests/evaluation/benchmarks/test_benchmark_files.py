"""Both forms of files: rows, references, pictures, and bad input named by its row."""

from __future__ import annotations

import random
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dvl2_cli.errors import Dvl2Error, InputError, UsageError
from dvl2_cli.evaluation.benchmarks.files import open_files, rows_of
from dvl2_cli.evaluation.benchmarks.item import BenchmarkItem
from dvl2_cli.evaluation.benchmarks.plan import make_plan
from dvl2_cli.evaluation.benchmarks.sets import SETS
from tests.evaluation.benchmarks.files import as_base64, picture, png, write_parquet, write_tsv


def items(name: str, *paths: Path, **options: Any) -> list[BenchmarkItem]:
    benchmark = SETS[name]
    return list(make_plan(benchmark, open_files(paths, benchmark), **options).items())


def doc_row(index: int, **changed: Any) -> dict[str, Any]:
    row = {
        "index": index,
        "image": as_base64(png(20 + index)),
        "question": f"What is {index}?",
        "answer": f"['{index}', \"it's\"]",
    }
    return {**row, **changed}


def test_both_forms_give_the_same_questions(tmp_path: Path) -> None:
    tsv = write_tsv(tmp_path / "a.tsv", [doc_row(1), doc_row(2)])
    rows = [
        {
            "questionId": str(n),
            "image": picture(png(20 + n)),
            "question": f"What is {n}?",
            "answers": [str(n), "it's"],
        }
        for n in (1, 2)
    ]
    parquet = write_parquet(tmp_path / "b.parquet", rows)
    shown = [
        [(i.id, i.text, i.references, i.pictures()[0].size) for i in items("docvqa", path)]
        for path in (tsv, parquet)
    ]
    assert shown[0] == shown[1]
    assert shown[0][1] == (
        "2",
        "What is 2?\nAnswer the question using a single word or phrase.",
        ("2", "it's"),
        (22, 10),
    )


def test_cells_hold_newlines_tabs_and_quotes(tmp_path: Path) -> None:
    path = write_tsv(tmp_path / "a.tsv", [doc_row(1, question='two\nlines\tand "more"')])
    (item,) = items("docvqa", path)
    assert item.text.startswith('two\nlines\tand "more"\n')


def test_a_short_image_is_another_rows_index(tmp_path: Path) -> None:
    rows = [doc_row(1, image="3"), doc_row(2), doc_row(3), doc_row(4, image="2")]
    found = items("docvqa", write_tsv(tmp_path / "a.tsv", rows))
    assert [item.pictures()[0].width for item in found] == [23, 22, 23, 22]


def test_threads_get_their_own_rows_picture(tmp_path: Path) -> None:
    """Rows that refer to other rows in turns, decoded by several threads."""
    rows = [doc_row(n) for n in range(4)]
    rows += [doc_row(n, image=str(n % 4)) for n in range(4, 80)]
    found = items("docvqa", write_tsv(tmp_path / "a.tsv", rows))
    with ThreadPoolExecutor(8) as pool:
        widths = list(pool.map(lambda item: item.pictures()[0].width, found))
    assert widths == [20 + n % 4 for n in range(80)]


def test_a_cell_may_hold_several_pictures(tmp_path: Path) -> None:
    several = str([as_base64(png(31)), as_base64(png(32))])
    (item,) = items("docvqa", write_tsv(tmp_path / "a.tsv", [doc_row(1, image=several)]))
    assert [image.width for image in item.pictures()] == [31, 32]


def test_shards_of_a_folder_are_one_set(tmp_path: Path) -> None:
    write_tsv(tmp_path / "b.tsv", [doc_row(2)])
    write_tsv(tmp_path / "a.tsv", [doc_row(1)])
    (tmp_path / "README.md").write_text("not data")
    assert [item.id for item in items("docvqa", tmp_path)] == ["1", "2"]


def test_a_limit_takes_the_first_and_a_seed_a_sample(tmp_path: Path) -> None:
    path = write_tsv(tmp_path / "a.tsv", [doc_row(n) for n in range(1, 41)])
    assert [item.id for item in items("docvqa", path, limit=2)] == ["1", "2"]
    one, same, other = (
        [item.id for item in items("docvqa", path, limit=8, seed=seed)] for seed in (5, 5, 6)
    )
    assert one == same != other
    assert len(set(one)) == 8


def decode_all(name: str, path: Path) -> None:
    for item in items(name, path):
        item.pictures()


def broken(tmp_path: Path, name: str, rows: list[dict[str, Any]]) -> Dvl2Error:
    path = write_tsv(tmp_path / "a.tsv", rows)
    with pytest.raises(Dvl2Error) as caught:
        decode_all(name, path)
    assert "\n" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (doc_row(2, answer="['a'"), None),  # a text that is one answer
        (doc_row(2, answer="['a', open('x')]"), "row 2: answer is no list of answers"),
        (doc_row(2, answer="[]"), "row 2: answer is no list of answers: the list is empty"),
        (doc_row(2, answer="[['a']]"), "row 2: answer is no list of answers"),
        (doc_row(2, answer=""), "row 2: it has no answer"),
        (doc_row(2, question=""), "row 2: question is empty"),
        (doc_row(1), "row 2: the id 1 is that of row 1 too"),
        (doc_row(2, image=""), "row 2: image is empty"),
        (doc_row(2, image="7"), "row 2: image is '7', neither a picture in base64 nor the index"),
        (doc_row(2, image="*" * 99), "row 2, image 1 is not base64"),
        (doc_row(2, image=as_base64(b"no picture" * 20)), "row 2, image 1"),
        (doc_row(2, image=as_base64(png(200, 200)[:2000])), "row 2, image 1"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: dict[str, Any], said: str | None) -> None:
    if said is None:
        assert len(items("docvqa", write_tsv(tmp_path / "a.tsv", [doc_row(1), row]))) == 2
    else:
        assert said in broken(tmp_path, "docvqa", [doc_row(1), row]).message


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("textvqa", doc_row(1, answer="one answer"), "answer is no list of answers"),
        ("ocrbench", doc_row(1, answer="x", category="VQA"), "answer is no list of answers"),
        ("chartqa", doc_row(1, split="train"), "type is 'train', neither human nor augmented"),
        ("mmbench", doc_row(1, A="x", B="y", answer="C"), "answer is 'C', which is none of A, B"),
        ("mmbench", doc_row(1, A="x", B="", answer="A"), "it has fewer than two options"),
        ("mmbench", {**doc_row(1, A="x", B="y", answer="A"), "index": "i"}, "index is 'i'"),
        ("mmmu", doc_row(1, A="x", B="y", answer="C"), "answer is 'C', which is none of A, B"),
        ("mmmu", doc_row(1, options="['a'", answer="A"), "options is no list of options"),
        (
            "mmmu",
            doc_row(1, question="<image 2>?", A="x", B="y", answer="A"),
            "the question names <image 2>, and there are 1 images",
        ),
        ("refcoco", doc_row(1, bbox="[1, 2, 3]"), "bbox is not [x, y, width, height]"),
        ("refcoco", doc_row(1, bbox="[1, 2, 3, 0]"), "bbox is 3 x 0 pixels"),
        ("refcoco", doc_row(1, bbox="somewhere"), "bbox is not [x, y, width, height]"),
    ],
)
def test_a_row_that_its_set_cannot_use_is_named(
    tmp_path: Path, name: str, row: dict[str, Any], said: str
) -> None:
    assert f"row 1: {said}" in broken(tmp_path, name, [row]).message


@pytest.mark.parametrize("name", SETS)
def test_missing_columns_are_named(tmp_path: Path, name: str) -> None:
    path = write_tsv(tmp_path / "a.tsv", [{"text": "a", "picture": "b"}])
    with pytest.raises(UsageError, match=r"lacks what .* needs: .*; it has text, picture"):
        items(name, path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "neither parquet nor TSV"),
        (b"index,image,question,answer\n", "neither parquet nor TSV"),
        (b"PAR1 and nothing else", "cannot read .* as parquet"),
        (b"\x00\x01\t\x02\n", "neither parquet nor TSV"),
        (b"index\timage\tquestion\tanswer\n", "there is no row to ask about"),
        (b"index\timage\tquestion\tanswer\n1\tx\n", "row 1: 2 cells for 4 columns"),
        (b"index\timage\tquestion\tanswer\n1\tx\t\xff\tz\n", "not UTF-8"),
    ],
)
def test_files_of_another_form(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        items("docvqa", path)


def test_missing_files_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        items("docvqa", tmp_path / "none.tsv")
    with pytest.raises(InputError, match=r"no file that ends in \.parquet or \.tsv"):
        items("docvqa", tmp_path)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ({"bytes": None, "path": "a.jpg"}, "row 1: image holds no bytes of a picture"),
        ({"bytes": b"", "path": None}, r"row 1, image 1 is empty \(0 bytes\)"),
        ({"bytes": b"GIF8 of a kind", "path": None}, "row 1, image 1"),
    ],
)
def test_pictures_of_parquet_that_are_none(tmp_path: Path, cell: dict[str, Any], said: str) -> None:
    good = {"question": "?", "answers": ["a"], "image": picture()}
    path = write_parquet(tmp_path / "a.parquet", [{**good, "image": cell}, good])
    first, second = items("docvqa", path)
    with pytest.raises(InputError, match=said):
        first.pictures()
    assert second.pictures()[0].size == (20, 10)


def test_damage_inside_a_parquet_file_is_one_line(tmp_path: Path) -> None:
    rows = [{"question": f"{n}?", "answers": ["a"], "image": picture()} for n in range(50)]
    path = write_parquet(tmp_path / "a.parquet", rows, compression="snappy")
    data = bytearray(path.read_bytes())
    data[4:600] = b"\xff" * 596
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"cannot read .* as parquet") as caught:
        decode_all("docvqa", path)
    assert "\n" not in caught.value.message


def test_pictures_are_not_read_while_rows_are_checked(tmp_path: Path) -> None:
    path = write_parquet(
        tmp_path / "a.parquet", [{"question": "?", "answers": ["a"], "image": picture()}]
    )
    files = open_files([path], SETS["docvqa"])
    (row,) = rows_of(files, with_pictures=False)
    with pytest.raises(InputError, match="image is empty"):
        row.pictures()


def test_rows_are_in_memory_a_few_at_a_time(tmp_path: Path) -> None:
    """Checking and going through files of 16 MiB holds a fraction of them."""
    import pyarrow as pa

    blobs = [random.Random(n).randbytes(2**18) for n in range(64)]
    rows = [{"question": "?", "answers": ["a"], "image": picture(blob)} for blob in blobs]
    parquet = write_parquet(tmp_path / "a.parquet", rows, row_group_size=4)
    lines = (doc_row(n, image=as_base64(blob)) for n, blob in enumerate(blobs))
    tsv = tmp_path / "b.tsv"
    with tsv.open("w") as stream:
        stream.write("\t".join(doc_row(0)) + "\n")
        stream.writelines("\t".join(map(str, row.values())) + "\n" for row in lines)
    for path in (parquet, tsv):
        benchmark = SETS["docvqa"]
        before, held = pa.total_allocated_bytes(), 0
        tracemalloc.start()
        for _ in make_plan(benchmark, open_files([path], benchmark)).items():
            held = max(held, pa.total_allocated_bytes() - before)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak + held < path.stat().st_size / 2
