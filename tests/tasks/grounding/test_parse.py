from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepseek_vl_v2.format.tags import TAGS
from dvl2_cli.tasks.grounding.overlap import without_repeats
from dvl2_cli.tasks.grounding.parse import parse_grounding
from dvl2_cli.tasks.grounding.tags import Box999, format_object

coordinates = st.integers(0, 999)
labels = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="<>｜"), min_size=1
).filter(lambda text: text.strip() == text)


@st.composite
def boxes(draw: st.DrawFn) -> Box999:
    x1, x2 = sorted(draw(st.lists(coordinates, min_size=2, max_size=2, unique=True)))
    y1, y2 = sorted(draw(st.lists(coordinates, min_size=2, max_size=2, unique=True)))
    return (x1, y1, x2, y2)


objects = st.lists(st.tuples(labels, st.lists(boxes(), min_size=1, max_size=4)), max_size=5)
# Text made of what the parser looks for is likelier to confuse it than random text.
confusing = st.lists(
    st.sampled_from([*TAGS, "[", "]", "]]", "[[", ",", " ", "12", "-3.5", "1e9", "é", "\n", "｜"])
    | st.text(max_size=5)
).map("".join)


@given(objects)
def test_what_is_formatted_is_parsed_back(pairs: list[tuple[str, list[Box999]]]) -> None:
    raw = "".join(format_object(label, found) for label, found in pairs)
    parsed = parse_grounding(raw)
    once = [(label, *without_repeats(found)) for label, found in pairs]
    wanted = [(label, box) for label, kept, _ in once for box in kept]
    assert [(region.label, region.box) for region in parsed.regions] == wanted
    assert len(parsed.rejected) == sum(len(repeats) for _, _, repeats in once)


@given(objects, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<>[]｜")))
def test_spans_point_at_their_labels(pairs: list[tuple[str, list[Box999]]], filler: str) -> None:
    raw = "<|grounding|>" + "".join(filler + format_object(label, found) for label, found in pairs)
    parsed = parse_grounding(raw)
    assert "<|" not in parsed.text
    for region in parsed.regions:
        assert region.span is not None
        start, end = region.span
        assert parsed.text[start:end] == region.label


@given(confusing | st.text())
def test_any_text_is_accepted(raw: str) -> None:
    parsed = parse_grounding(raw)
    assert not any(tag in parsed.text for tag in TAGS if tag != "<|grounding|>")
    for region in parsed.regions:
        x1, y1, x2, y2 = region.box
        assert 0 <= x1 < x2 <= 999
        assert 0 <= y1 < y2 <= 999
        if region.span is not None:
            assert 0 <= region.span[0] <= region.span[1] <= len(parsed.text)
    assert all(len(item.text) <= 90 and "\n" not in item.text for item in parsed.rejected)


@pytest.mark.parametrize(
    ("det", "kept"),
    [
        ("[[220, 270, 422, 720]]", [(220, 270, 422, 720)]),
        ("[220, 270, 422, 720]", [(220, 270, 422, 720)]),
        ("220, 270, 422, 720", [(220, 270, 422, 720)]),
        ("[[220 270 422 720]", [(220, 270, 422, 720)]),
        ("((220,270,422,720))", [(220, 270, 422, 720)]),
        ("[[220.5, 270, 422, 720.25]]", [(220.5, 270, 422, 720.25)]),
        ("[[422, 720, 220, 270]]", [(220, 270, 422, 720)]),
        ("[[220, 270, 1000, 1050]]", [(220, 270, 999, 999)]),
        ("[[-5, 270, 422, 720]]", [(0, 270, 422, 720)]),
        ("[[1, 2, 3, 4, 5, 6, 7, 8]]", [(1, 2, 3, 4), (5, 6, 7, 8)]),
    ],
)
def test_malformed_boxes_that_can_be_read(det: str, kept: list[Box999]) -> None:
    parsed = parse_grounding(f"<|ref|>car<|/ref|><|det|>{det}<|/det|>")
    assert [region.box for region in parsed.regions] == kept
    assert parsed.rejected == ()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("[470,]", "expected 4 numbers, got 1"),
        ("[1, 2, 3, 4, 5]", "expected 4 numbers, got 5"),
        ("[1, 2, x, 4]", "'x' is not a number"),
        ("[1, 2, 1, 4]", "the box has no area"),
        ("[300, 300, 99999, 400]", "most of the box lies outside 0..999"),
        ("[" + "9" * 400 + ", 1, 2, 3]", "is not a number"),
        ("[__import__('os'), 1, 2, 3]", "is not a number"),
        ("[nan, 1, 2, 3]", "'nan' is not a number"),
    ],
)
def test_one_bad_box_is_rejected_by_itself(bad: str, reason: str) -> None:
    parsed = parse_grounding(f"<|ref|>car<|/ref|><|det|>[[10, 20, 30, 40], {bad}]<|/det|>")
    assert (10, 20, 30, 40) in [region.box for region in parsed.regions]
    assert any(reason in item.reason for item in parsed.rejected)


def test_a_cut_off_answer_keeps_its_whole_boxes() -> None:
    parsed = parse_grounding("<|ref|>car<|/ref|><|det|>[[10, 20, 30, 40], [50, 60, 7")
    assert [region.box for region in parsed.regions] == [(10, 20, 30, 40)]
    assert [item.reason for item in parsed.rejected] == ["expected 4 numbers, got 3 (cut off)"]


def test_labels_before_their_boxes_are_paired_in_order() -> None:
    raw = (
        "<|ref|>a<|/ref|><|ref|>b<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|><|det|>[[5, 6, 7, 8]]<|/det|>"
    )
    assert [(r.label, r.box[0]) for r in parse_grounding(raw).regions] == [("a", 1), ("b", 5)]


def test_a_label_without_boxes_does_not_shift_the_others() -> None:
    raw = "<|ref|>a<|/ref|> and <|ref|>b<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>"
    parsed = parse_grounding(raw)
    assert [(region.label, region.box[0]) for region in parsed.regions] == [("b", 1)]
    assert [(item.text, item.reason) for item in parsed.rejected] == [("a", "no boxes follow")]


def test_bare_brackets_are_read_where_a_server_dropped_the_tags() -> None:
    parsed = parse_grounding("red car[[10, 20, 30, 40]]")
    assert parsed.text == "red car"
    assert [(region.label, region.box) for region in parsed.regions] == [(None, (10, 20, 30, 40))]


def test_text_after_a_missing_closing_tag_stays_text() -> None:
    parsed = parse_grounding("A <|ref|>dog<|/ref|><|det|>[[1, 2, 3, 4]] runs")
    assert parsed.text == "A dog runs"
    assert len(parsed.regions) == 1


def test_a_box_that_is_told_twice_counts_once() -> None:
    raw = "<|ref|>horse<|/ref|><|det|>[[10, 10, 200, 300], [12, 14, 203, 296], [400, 0, 500, 90]]"
    parsed = parse_grounding(f"{raw}<|/det|>")
    assert [region.box for region in parsed.regions] == [(10, 10, 200, 300), (400, 0, 500, 90)]
    (rejected,) = parsed.rejected
    assert rejected.text == "[12, 14, 203, 296]"
    assert "repeats" in rejected.reason


def test_two_mentions_of_one_thing_keep_their_boxes() -> None:
    raw = format_object("a dog", [(10, 10, 200, 300)]) + format_object("it", [(10, 10, 200, 300)])
    assert len(parse_grounding(raw).regions) == 2


@pytest.mark.parametrize(
    ("raw", "label", "box"),
    [
        ("<|ref|>cat<|/ref|><|det|>[[0.25, 0, 1.0, 1]]<|/det|>", "cat", (249.75, 0, 999, 999)),
        ("<|ref|>cat<|/ref|><|det|>[[0, 0, 0.5, 1]]<|/det|>", "cat", (0, 0, 499.5, 999)),
        ("cat [100, 200, 300, 400]", None, (100, 200, 300, 400)),
        ("cat [0.1, 0.2, 0.3, 0.4]", None, (99.9, 199.8, 299.7, 399.6)),
        ('[{"bbox_2d": [100, 200, 300, 400], "label": "cat"}]', "cat", (100, 200, 300, 400)),
        ('{"label": "cat", "bbox": [100, 200, 300, 400]}', "cat", (100, 200, 300, 400)),
        ('```json\n[\n  {"bbox_2d": [1, 2, 3, 4]}\n]\n```', None, (1, 2, 3, 4)),
    ],
)  # fmt: skip
def test_other_ways_to_write_a_box_are_read(raw: str, label: str | None, box: Box999) -> None:
    parsed = parse_grounding(raw)
    ((found, corners),) = [(region.label, region.box) for region in parsed.regions]
    assert found == label
    assert corners == pytest.approx(box)
    assert parsed.rejected == ()
    assert parsed.text in ("cat", "")


@pytest.mark.parametrize(
    "raw",
    [
        "(100, 200, 300, 400)",
        "cat 100 200 300 400",
        "<box>(100,200),(300,400)</box>",
        "cat: [10, 20]",
        '{"box_2d": [100, 200, 300, 400]}',
        '{"x1": 10, "y1": 20, "x2": 30, "y2": 40}',
        "xmin=10 ymin=20 xmax=30 ymax=40",
    ],
)
def test_what_looks_like_a_box_is_never_passed_over(raw: str) -> None:
    parsed = parse_grounding(raw)
    assert parsed.regions == ()
    (rejected,) = parsed.rejected
    assert "form that is not read" in rejected.reason


def test_a_fraction_among_whole_numbers_is_rejected() -> None:
    parsed = parse_grounding("<|det|>[[0.1, 0.2, 0.3, 0.4], [100, 200, 300, 400]]<|/det|>")
    assert [region.box for region in parsed.regions] == [(100, 200, 300, 400)]
    assert "fractions" in parsed.rejected[0].reason


@pytest.mark.parametrize("raw", ["There is no cat.", "There are 3 cats, 2 dogs and 1 bus."])
def test_plain_sentences_are_no_boxes(raw: str) -> None:
    parsed = parse_grounding(raw)
    assert (parsed.text, parsed.regions, parsed.rejected) == (raw, (), ())
