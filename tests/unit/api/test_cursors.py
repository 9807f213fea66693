"""Cursors: what goes in comes out, and nothing else gets through."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import pytest

from api.cursors import Page, decode, encode, fingerprint, key_text
from api.errors import CursorError, CursorGoneError
from api.manifest import TableMeta

NOW = datetime(2026, 3, 14, 11, 0, 0, 123000)
META = TableMeta("sales_by_minute", 9, 4, "epoch", "digest", 5, NOW, NOW)
KEY = "00" * 32
PAGE = Page(7, NOW, (datetime(2026, 3, 13), datetime(2026, 3, 14)), ("2026-03-14T09:00:00", "DE", "Möbel; DROP TABLE"))


@pytest.mark.parametrize("page", [PAGE, Page(4, NOW), Page(9, NOW, None, ("x",))])
def test_a_page_survives_the_way_through_a_cursor(page: Page) -> None:
    assert decode(encode(page, META, "request", KEY), META, "request", KEY) == page


def test_another_key_of_the_server_makes_the_cursor_foreign() -> None:
    with pytest.raises(CursorError):
        decode(encode(PAGE, META, "request", KEY), META, "request", "11" * 32)


@pytest.mark.parametrize(
    "meta",
    [replace(META, epoch="another"), replace(META, loaded_version=8), replace(META, delta_version=6)],
    ids=["reloaded", "loaded-later", "turned-back"],
)
def test_a_version_that_cannot_be_told_apart_any_more_is_gone(meta: TableMeta) -> None:
    with pytest.raises(CursorGoneError):
        decode(encode(PAGE, META, "request", KEY), meta, "request", KEY)


def test_every_single_changed_character_is_noticed() -> None:
    cursor = encode(PAGE, META, "request", KEY)
    for place, character in enumerate(cursor[:-1]):
        with pytest.raises(CursorError):
            decode(cursor[:place] + ("A" if character != "A" else "B") + cursor[place + 1 :], META, "request", KEY)


def test_the_fingerprint_leaves_out_paging_and_nothing_else() -> None:
    base = fingerprint("/v1/sales", {"country": ["US"], "limit": 1, "cursor": None})
    assert fingerprint("/v1/sales", {"country": ["US"], "limit": 9, "cursor": "x"}) == base
    assert fingerprint("/v1/sales", {"country": ["DE"], "limit": 1, "cursor": None}) != base
    assert fingerprint("/v1/orders", {"country": ["US"], "limit": 1, "cursor": None}) != base


def test_keys_are_kept_as_text_that_reads_back() -> None:
    assert [key_text(value) for value in (NOW, date(2026, 3, 14), "US")] == [
        "2026-03-14T11:00:00.123000",
        "2026-03-14",
        "US",
    ]
