import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvl2_cli.errors import UsageError
from dvl2_cli.sizes import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GB", 8 * 10**9),
        ("8gb", 8 * 10**9),
        ("8GiB", 8 * 2**30),
        ("8G", 8 * 2**30),
        (" 7.5 GB ", 7_500_000_000),
        ("512", 512),
        (".5kB", 500),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0", "8 potatoes", "1e9", "8GBB", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a size"):
        parse_size(text)


@given(st.text())
def test_any_text_is_a_size_or_refused(text: str) -> None:
    size = 1
    with contextlib.suppress(UsageError):
        size = parse_size(text)
    assert size > 0


@given(st.integers(1, 10**14))
def test_a_written_size_reads_back_to_three_digits(size: int) -> None:
    assert parse_size(format_size(size)) == pytest.approx(size, rel=0.006)
