import pytest
import torch

from nano_lab.pretraining.counting_targets import (
    CountedPlaces,
    counted_spots,
    counting_loss,
    join_counting,
)
from nano_lab.rendering.boxes import tagged
from nano_lab.rendering.render import render
from nano_lab.rendering.sample import Mention, Turn

SIZE = (999, 999)


def test_a_number_counts_what_is_counted() -> None:
    turn = Turn("How many?", "2", "count", counted=((0.25, 0.5), (0.75, 0.5)))
    assert list(counted_spots(turn, (200, 100))) == [(0, [(50, 50), (150, 50)])]


def test_none_is_counted_too() -> None:
    assert list(counted_spots(Turn("How many?", "0", "count", counted=()), SIZE)) == [(0, [])]


def test_after_every_box_the_others_are_left() -> None:
    answer = tagged("cups", [(0, 0, 100, 100), (200, 200, 300, 300)], SIZE)
    found = list(counted_spots(Turn("", answer, "locate-all"), SIZE))
    assert [answer[char : char + 2] for char, _ in found] == ["],", "]]"]
    assert [len(spots) for _, spots in found] == [1, 0]
    assert found[0][1][0] == pytest.approx((250, 250), abs=1)


def test_after_every_name_of_a_caption_the_others_are_left() -> None:
    turn = Turn("", "A cup and a pen.", "caption", (Mention(0, 5, 0.1, 0.1), Mention(10, 15, 1, 1)))
    assert [(turn.answer[char:], len(spots)) for char, spots in counted_spots(turn, SIZE)] == [
        (" and a pen.", 1),
        (".", 0),
    ]


def test_other_answers_count_nothing() -> None:
    assert not list(counted_spots(Turn("", "There is no cup in this image.", "locate-none"), SIZE))


def test_rows_are_joined() -> None:
    joined = join_counting([[], [CountedPlaces(5, (2, 3)), CountedPlaces(9, ())]])
    assert joined is not None
    assert joined.rows.tolist() == [1, 1]
    assert joined.positions.tolist() == [5, 9]
    assert joined.places.tolist() == [[2, 3], [-1, -1]]
    assert join_counting([[], []]) is None


def loss_of(shares: dict[int, float], places: tuple[int, ...]) -> tuple[float, int]:
    """The loss of a head of one channel whose attention is ``shares`` of six places."""
    key = torch.full((1, 6, 1), -40.0)
    for place, share in shares.items():
        key[0, place, 0] = torch.tensor(share).log()
    query = torch.ones(1, 6, 1)
    joined = join_counting([[CountedPlaces(4, places)]])
    assert joined is not None
    loss, told = counting_loss(query, key, joined, None)
    return float(loss), int(told)


def test_equal_shares_are_best() -> None:
    best, told = loss_of({0: 1 / 3, 2: 1 / 3, 3: 1 / 3}, (2, 3))
    assert best == pytest.approx(torch.tensor(3.0).log().item(), abs=1e-4)
    assert told == 1
    for worse in ({0: 0.5, 2: 0.25, 3: 0.25}, {0: 1 / 3, 1: 1 / 3, 3: 1 / 3}):
        assert loss_of(worse, (2, 3))[0] > best


def test_a_wrong_share_tells_a_wrong_number() -> None:
    assert loss_of({0: 0.5, 2: 0.25, 3: 0.25}, (2, 3))[1] == 0
    assert loss_of({0: 1.0}, ())[1] == 1


def test_nothing_after_the_token_is_seen_and_no_other_branch() -> None:
    # Place 5 comes later; place 3 is of another branch.
    joined = join_counting([[CountedPlaces(4, (2,))]])
    assert joined is not None
    key = torch.zeros(1, 6, 1)
    branches = torch.tensor([[0, 0, 0, 1, 2, 2]])
    loss, _ = counting_loss(torch.ones(1, 6, 1), key, joined, branches)
    # Places 0, 1, 2 and 4 are seen, with equal shares.
    assert float(loss) == pytest.approx(torch.tensor(4.0).log().item(), abs=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_questions_say_how_many_they_count(seed: int) -> None:
    sample = render("tally", seed, "train")
    counts = [turn for turn in sample.turns if turn.task == "count"]
    assert counts
    for turn in counts:
        assert turn.counted is not None
        assert turn.answer == str(len(turn.counted))
