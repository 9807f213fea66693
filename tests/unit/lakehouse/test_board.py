"""The sales board: whole rows of each period, on time and late, as known now and as known then, on UTC's and the countries' clocks."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from live_batches import MemoryLake, batch

from api.responses import mean
from lakehouse.contracts.base import COUNTRIES
from lakehouse.countries import TIME_ZONES
from lakehouse.live.board import ORDERS, SALES, Board, BoardError
from lakehouse.live.finality import FinalityView
from lakehouse.tables import FINALITY, ORDERS_BY_MINUTE, SALES_BY_MINUTE


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def naive(text):
    return datetime.fromisoformat(text)


# Each batch: its number, its start, and the watermark after it.
BATCHES = {
    1: (at("2026-03-14 09:30"), at("2026-03-14 09:20")),
    2: (at("2026-03-14 10:12"), at("2026-03-14 10:01")),  # the hour from nine is over
    3: (at("2026-03-14 13:00"), at("2026-03-14 12:50")),
    4: (at("2026-03-17 08:00"), at("2026-03-17 07:50")),
}
SOLD = [
    # batch, minute, country, category, units, lines, revenue
    (1, "2026-03-14 09:05", "US", "Coffee", 3, 2, "12.30"),
    (1, "2026-03-14 09:05", "DE", "Coffee", 1, 1, "4.00"),
    (2, "2026-03-14 09:59", "US", "Coffee", 1, 1, "0.70"),  # within the batch that closes the hour: on time
    (2, "2026-03-14 10:02", "US", "Tents", 1, 1, "199.99"),
    (3, "2026-03-14 09:40", "US", "Coffee", 2, 1, "8.20"),  # hours late
    (4, "2026-03-14 09:41", "DE", "Tents", 1, 1, "50.00"),  # days late, and the first of its kind
]


def sales(rows, batches=BATCHES):
    records = [
        {
            "minute": at(minute), "country": country, "category": category, "unit_count": units, "line_count": lines,
            "revenue": Decimal(revenue), "batch_id": number, "known_at": batches[number][0],
        }
        for number, minute, country, category, units, lines, revenue in rows
    ]  # fmt: skip
    return pa.Table.from_pylist(records, schema=SALES_BY_MINUTE.schema)


def orders(rows, batches=BATCHES):
    records = [
        {
            "minute": at(minute), "country": country, "payment_method": method, "order_count": count,
            "revenue": Decimal(revenue), "batch_id": number, "known_at": batches[number][0],
        }
        for number, minute, country, method, count, revenue in rows
    ]  # fmt: skip
    return pa.Table.from_pylist(records, schema=ORDERS_BY_MINUTE.schema)


def finality(batches=BATCHES):
    """What the view writes, restarted after every batch."""
    lake = MemoryLake()
    for number, (started_at, watermark) in batches.items():
        view = FinalityView()
        view.load(lake)
        lake.write(view.apply(batch(number, {}, started_at, watermark)))
    return lake.read(FINALITY, FINALITY.schema.names)


def plain(table):
    """As the serving file has it: times without zone."""
    fields = [pa.field(f.name, pa.timestamp("us") if pa.types.is_timestamp(f.type) else f.type) for f in table.schema]
    return table.cast(pa.schema(fields))


def ask(board, rows, batches=BATCHES, session="UTC"):
    with duckdb.connect() as con:
        con.execute("SET TimeZone = ?", [session])
        con.register(board.subject.table.name, plain(rows))
        con.register("finality", plain(finality(batches)))
        answer = con.execute(*board.sql())
        assert tuple(column[0] for column in answer.description) == board.columns
        return answer.fetchall()


NINE, TEN, ELEVEN = (naive(f"2026-03-14 {hour}:00") for hour in ("09", "10", "11"))
KNOWN = {number: started_at.replace(tzinfo=None) for number, (started_at, _) in BATCHES.items()}


def test_a_row_is_a_period_with_its_value_now_and_when_it_became_final():
    assert ask(Board(SALES, by=("country", "category")), sales(SOLD)) == [
        (
            NINE, TEN, naive("2026-03-14 10:00"), "DE", "Coffee", 1, 1, Decimal("4.00"),
            "final", KNOWN[2], 1, 1, Decimal("4.00"), None,
        ),
        (
            NINE, TEN, naive("2026-03-14 10:00"), "DE", "Tents", 1, 1, Decimal("50.00"),
            "restated", KNOWN[2], 0, 0, Decimal("0.00"), KNOWN[4],
        ),
        (
            NINE, TEN, naive("2026-03-14 05:00"), "US", "Coffee", 6, 4, Decimal("21.20"),
            "restated", KNOWN[2], 4, 3, Decimal("13.00"), KNOWN[3],
        ),
        (
            TEN, ELEVEN, naive("2026-03-14 06:00"), "US", "Tents", 1, 1, Decimal("199.99"),
            "final", KNOWN[3], 1, 1, Decimal("199.99"), None,
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("known_at", "nine", "ten"),
    [
        ("2026-03-14 09:29:59", None, None),
        ("2026-03-14 09:30", ("provisional", "16.30", None, None), None),
        ("2026-03-14 10:11:59", ("provisional", "16.30", None, None), None),
        ("2026-03-14 10:12", ("final", "17.00", "17.00", None), ("provisional", "199.99", None, None)),
        ("2026-03-14 13:00", ("restated", "25.20", "17.00", 3), ("final", "199.99", "199.99", None)),
        ("2026-03-17 07:59", ("restated", "25.20", "17.00", 3), ("final", "199.99", "199.99", None)),
        ("2026-03-17 08:00", ("restated", "75.20", "17.00", 4), ("final", "199.99", "199.99", None)),
    ],
)
def test_the_board_can_be_asked_for_as_it_was(known_at, nine, ten):
    found = {
        row[0]: (row[6], str(row[5]), None if row[10] is None else str(row[10]), row[11])
        for row in ask(Board(SALES, known_at=at(known_at)), sales(SOLD))
    }
    expected = {
        start: (status, now, final, KNOWN.get(restated))
        for start, said in ((NINE, nine), (TEN, ten))
        if said is not None
        for status, now, final, restated in [said]
    }
    assert found == expected


def test_minutes_add_up_to_hours_and_days():
    totals = {
        interval: [(row[0], row[1], row[3], row[5], row[6]) for row in ask(Board(SALES, interval), sales(SOLD))]
        for interval in ("minute", "hour", "day")
    }
    assert totals["day"] == [
        (naive("2026-03-14"), naive("2026-03-15"), 9, Decimal("275.19"), "final"),  # batch 4 ended it
    ]
    assert totals["hour"] == [
        (NINE, TEN, 8, Decimal("75.20"), "restated"),
        (TEN, ELEVEN, 1, Decimal("199.99"), "final"),
    ]
    assert [(str(row[0])[11:16], str(row[3]), row[4]) for row in totals["minute"]] == [
        ("09:05", "16.30", "final"),
        ("09:40", "8.20", "restated"),
        ("09:41", "50.00", "restated"),
        ("09:59", "0.70", "final"),
        ("10:02", "199.99", "final"),
    ]


def test_only_the_time_asked_for_is_on_the_board():
    board = Board(SALES, start=at("2026-03-14 09:40"), end=at("2026-03-14 10:00"))
    assert [(row[0], row[5]) for row in ask(board, sales(SOLD))] == [(NINE, Decimal("58.90"))]


def test_orders_have_their_average_to_the_cent():
    rows = orders([
        (1, "2026-03-14 09:05", "US", "paypal", 2, "10.01"),
        (2, "2026-03-14 09:50", "US", "paypal", 1, "0.01"),
        (4, "2026-03-14 09:50", "US", "gift_card", 7, "100.00"),
    ])  # fmt: skip
    assert ask(Board(ORDERS, by=("payment_method",)), rows) == [
        (
            NINE, TEN, None, "gift_card", 7, Decimal("100.00"), Decimal("14.29"),
            "restated", KNOWN[2], 0, Decimal("0.00"), KNOWN[4],
        ),
        (
            NINE, TEN, None, "paypal", 3, Decimal("10.02"), Decimal("3.34"),
            "final", KNOWN[2], 3, Decimal("10.02"), None,
        ),
    ]  # fmt: skip


def test_the_average_is_the_same_as_the_apis():
    rng = np.random.default_rng(1)
    cents = [int(10 ** rng.uniform(0, 18)) for _ in range(300)] + [1, 2, 3, 5, 10**18 - 1]
    counts = [int(rng.integers(1, 500)) for _ in cents]
    start = at("2026-03-14 00:00")
    rows = [
        (1, str((start + timedelta(minutes=n)).replace(tzinfo=None)), "US", "paypal", count, str(Decimal(cent) / 100))
        for n, (cent, count) in enumerate(zip(cents, counts, strict=True))
    ]
    found = [row[5] for row in ask(Board(ORDERS, "minute"), orders(rows))]
    assert found == [mean(Decimal(cent) / 100, count) for cent, count in zip(cents, counts, strict=True)]


def local_rows(interval, *sold):
    """(start, end, clock at the start, revenue) of sales at the given (minute, country)."""
    rows = sales([(1, minute, country, "Coffee", 1, 1, "1.00") for minute, country in sold])
    board = Board(SALES, interval, ("country",), "local")
    return [(*(str(value)[:16] for value in row[:3]), str(row[6])) for row in ask(board, rows)]


def test_an_hour_that_comes_twice_is_two_periods():
    assert local_rows(
        "hour", ("2026-11-01 04:59", "US"), ("2026-11-01 05:30", "US"), ("2026-11-01 06:30", "US"), ("2026-11-01 07:00", "US")
    ) == [
        ("2026-11-01 04:00", "2026-11-01 05:00", "2026-11-01 00:00", "1.00"),
        ("2026-11-01 05:00", "2026-11-01 06:00", "2026-11-01 01:00", "1.00"),
        ("2026-11-01 06:00", "2026-11-01 07:00", "2026-11-01 01:00", "1.00"),
        ("2026-11-01 07:00", "2026-11-01 08:00", "2026-11-01 02:00", "1.00"),
    ]  # fmt: skip


def test_an_hour_that_does_not_come_has_no_period():
    assert local_rows("hour", ("2026-03-08 06:59", "US"), ("2026-03-08 07:00", "US")) == [
        ("2026-03-08 06:00", "2026-03-08 07:00", "2026-03-08 01:00", "1.00"),
        ("2026-03-08 07:00", "2026-03-08 08:00", "2026-03-08 03:00", "1.00"),
    ]


def test_days_of_23_and_of_25_hours():
    assert local_rows(
        "day",
        *[
            ("2026-03-08 04:59", "US"),
            ("2026-03-08 05:00", "US"),
            ("2026-03-09 03:59", "US"),
            ("2026-03-09 04:00", "US"),
        ],
        *[("2026-10-24 22:00", "DE"), ("2026-10-25 22:59", "DE"), ("2026-10-25 23:00", "DE")],
        *[("2026-10-24 23:00", "GB"), ("2026-10-25 23:59", "GB")],
    ) == [
        ("2026-03-07 05:00", "2026-03-08 05:00", "2026-03-07 00:00", "1.00"),
        ("2026-03-08 05:00", "2026-03-09 04:00", "2026-03-08 00:00", "2.00"),
        ("2026-03-09 04:00", "2026-03-10 04:00", "2026-03-09 00:00", "1.00"),
        ("2026-10-24 22:00", "2026-10-25 23:00", "2026-10-25 00:00", "2.00"),
        ("2026-10-24 23:00", "2026-10-26 00:00", "2026-10-25 00:00", "2.00"),
        ("2026-10-25 23:00", "2026-10-26 23:00", "2026-10-26 00:00", "1.00"),
    ]


def test_indian_hours_begin_at_half_past_in_utc():
    assert local_rows("hour", ("2026-03-14 18:29", "IN"), ("2026-03-14 18:30", "IN"), ("2026-03-14 19:29", "IN")) == [
        ("2026-03-14 17:30", "2026-03-14 18:30", "2026-03-14 23:00", "1.00"),
        ("2026-03-14 18:30", "2026-03-14 19:30", "2026-03-15 00:00", "2.00"),
    ]


def test_a_local_day_is_final_once_its_own_end_is_past():
    batches = {
        1: (at("2026-03-14 22:00"), at("2026-03-14 18:29:59")),
        2: (at("2026-03-14 23:00"), at("2026-03-14 18:30")),
        3: (at("2026-03-15 00:30"), at("2026-03-15 00:00")),
    }
    rows = sales([(1, "2026-03-14 10:00", country, "Coffee", 1, 1, "1.00") for country in ("IN", "GB", "BR")], batches)
    board = Board(SALES, "day", ("country",), "local")
    assert {row[3]: (row[7], row[8]) for row in ask(board, rows, batches)} == {
        "IN": ("final", naive("2026-03-14 23:00")),
        "GB": ("final", naive("2026-03-15 00:30")),
        "BR": ("provisional", None),
    }


@pytest.mark.parametrize("clock", ["utc", "local"])
@pytest.mark.parametrize("interval", ["minute", "hour", "day"])
def test_any_board_equals_plain_sums(interval, clock):
    rng = np.random.default_rng(7)
    start = at("2026-10-20 00:00")
    batches, now = {}, start
    for number in range(1, 60):
        now += timedelta(hours=float(rng.uniform(0.5, 6)))
        batches[number] = (now, now - timedelta(minutes=float(rng.uniform(0, 90))))
    highest = start
    for number, (started_at, watermark) in batches.items():
        highest = max(highest, watermark)
        batches[number] = (started_at, highest)
    sold = []
    for _ in range(600):
        number = int(rng.integers(1, 60))
        minute = batches[number][0] - timedelta(hours=float(rng.exponential(8)))
        minute = minute.replace(second=0, microsecond=0, tzinfo=None)
        revenue = Decimal(int(rng.integers(0, 10_000))) / 100
        sold.append((number, str(minute), COUNTRIES[rng.integers(5)], "Coffee", 1, 1, str(revenue)))
    known_at = batches[40][0]
    board = Board(SALES, interval, ("country",), clock, known_at=known_at)
    found = {
        (row[0], row[3]): (row[1], row[2], row[6], row[7], row[8], row[11], row[12])
        for row in ask(board, sales(sold, batches), batches, session="Asia/Tokyo")
    }
    assert found == plain_board(sold, batches, interval, clock, known_at)
    assert {row[3] for row in found.values()} == {"provisional", "final", "restated"}


def plain_board(sold, batches, interval, clock, known_at):
    """The oracle: {(start, country): (end, clock at the start, revenue, status, final at, final revenue, restated at)}."""
    periods = {}
    for number, minute, country, *_, revenue in sold:
        if batches[number][0] <= known_at:
            start, end, label = period(at(minute), country, interval, clock)
            periods.setdefault((start, country), (end, label, []))[2].append((number, Decimal(revenue)))
    board = {}
    for (start, country), (end, label, parts) in periods.items():
        now = sum(revenue for _, revenue in parts)
        closing = [n for n, (at_, watermark) in batches.items() if at_ <= known_at and watermark >= end]
        row = (now, "provisional", None, None, None)
        if closing:
            late = [number for number, _ in parts if number > closing[0]]
            final = sum((revenue for number, revenue in parts if number <= closing[0]), Decimal("0.00"))
            restated_at = batches[max(late)][0].replace(tzinfo=None) if late else None
            row = (
                now,
                "restated" if late else "final",
                batches[closing[0]][0].replace(tzinfo=None),
                final,
                restated_at,
            )
        board[start.replace(tzinfo=None), country] = (end.replace(tzinfo=None), label, *row)
    return board


def period(minute, country, interval, clock):
    """Start and end in UTC, and the country's clock at the start, reckoned step by step with zoneinfo."""
    zone = ZoneInfo(TIME_ZONES[country])
    mine = UTC if clock == "utc" else zone
    local = minute.astimezone(mine)
    if interval == "day":
        start = local.replace(hour=0, minute=0, fold=0)
        end = (start.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=mine)
    else:
        start = minute - timedelta(minutes=local.minute if interval == "hour" else 0)
        end = start + timedelta(minutes=60 if interval == "hour" else 1)
    start = start.astimezone(UTC)
    return start, end.astimezone(UTC), start.astimezone(zone).replace(tzinfo=None)


def test_finality_has_one_row_per_minute_that_the_watermark_reached():
    batches = {n: (at(f"2026-03-14 10:12:{n:02}"), at(f"2026-03-14 10:0{n // 20}:{n % 20:02}")) for n in range(1, 60)}
    batches |= {70: (at("2026-03-14 10:13:10"), None), 71: (at("2026-03-14 10:13:11"), at("2026-03-14 10:01"))}
    assert finality(batches).to_pylist() == [
        {"final_until": at("2026-03-14 10:00"), "batch_id": 1, "known_at": at("2026-03-14 10:12:01")},
        {"final_until": at("2026-03-14 10:01"), "batch_id": 20, "known_at": at("2026-03-14 10:12:20")},
        {"final_until": at("2026-03-14 10:02"), "batch_id": 40, "known_at": at("2026-03-14 10:12:40")},
    ]


@pytest.mark.parametrize(
    "wrong", [{"by": ("payment_method",)}, {"clock": "local"}, {"by": ("category",), "clock": "local"}]
)
def test_a_board_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(BoardError):
        Board(SALES, **wrong)
