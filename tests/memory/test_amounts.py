"""Amounts of memory, written and read."""

from __future__ import annotations

import pytest

from backbeam.errors import InputError
from backbeam.memory.amounts import parse_bytes, show_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GiB", 8 * 2**30), ("8 gib", 8 * 2**30), ("500MB", 500 * 10**6), ("1.5kB", 1500), ("1e9", 10**9),
        (4096, 4096), ("16 B", 16), ("0.5 TiB", 2**39),
    ],
)  # fmt: skip
def test_amounts_are_read(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "8 G", "-1GB", "GB", "0", "1.2.3MB", "inf", "1e400", "8GiBs", True, None, "nan"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(InputError, match=r"budget is .*allowed: an amount of memory greater than 0, such as 8GiB"):
        parse_bytes(text)


def test_shown_amounts_are_read_as_what_they_were():
    for size in (1, 999, 1500, 2.34e6, 7.7e9, 1.1e13):
        assert parse_bytes(show_bytes(size)) == pytest.approx(size, rel=5e-3)
    assert show_bytes(-2e6) == "-2 MB"
