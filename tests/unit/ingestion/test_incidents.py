"""Incidents: each does what it says while it lasts and nothing before or after."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest

from ingestion import events
from ingestion.events import INVENTORY_EVENT, PRODUCT_VIEW, REASONS, TRANSACTION, Events
from ingestion.incidents import BROKEN_SHARE, PEAK_TIMES, WAVE_PRODUCTS, Incident, visit_factors
from ingestion.labels import Label
from ingestion.options import OptionError, history, live, parse_start
from ingestion.source import Source
from ingestion.topics import INPUT_NAMES
from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.judge import judge

PARTITIONS = dict.fromkeys(INPUT_NAMES, 4)
START = parse_start("2026-05-29")
HOUR = 3_600_000
FROM, TO = START + 10 * HOUR, START + 13 * HOUR
NOW = datetime(2026, 7, 1, tzinfo=UTC)


def source(*incidents: Incident, days: int = 1) -> Source:
    return Source(history(days * 86_400.0, START, scale=0.02, incidents=incidents), PARTITIONS)


def traffic(*incidents: Incident, days: int = 1) -> Events:
    return events.join(list(source(*incidents, days=days).blocks()))


def visits(made: Events, first: int, last: int) -> int:
    inside = (made.at >= first) & (made.at < last) & (made.kind == PRODUCT_VIEW)
    return len(np.unique(made.session[inside]))


Sent = tuple[int, bytes | None, Label | None]


def records(*incidents: Incident) -> tuple[list[Sent], list[int]]:
    """(kind, value, label) of a day in order of sending, and the time of arrival of each."""
    one = source(*incidents)
    rows: list[Sent] = []
    times: list[int] = []
    for block in one.blocks():
        made, labels = one.records(block)
        rows += [(made.kinds[place], made.values[place], labels.get(place)) for place in range(len(made))]
        times += block.arrival.tolist()
    return rows, times


@pytest.fixture(scope="module")
def quiet() -> Events:
    return traffic()


def test_a_factor_counts_for_the_part_of_a_slot_that_the_peak_covers() -> None:
    edges = np.array([0, 100, 200, 300])
    factors = visit_factors((Incident("sale-peak", 150, 200), Incident("bad-release", 0, 300)), edges)
    assert factors.tolist() == [1.0, 1 + (PEAK_TIMES - 1) / 2, 1.0]


def test_a_sale_peak_brings_several_times_as_many_visits_while_it_lasts(quiet: Events) -> None:
    peak = traffic(Incident("sale-peak", FROM, TO))
    assert visits(peak, FROM, TO) / visits(quiet, FROM, TO) == pytest.approx(PEAK_TIMES, rel=0.1)
    assert visits(peak, START, FROM) / visits(quiet, START, FROM) == pytest.approx(1, rel=0.1)


def test_a_bad_release_breaks_half_of_the_front_end_and_nothing_else() -> None:
    rows, times = records(Incident("bad-release", FROM, TO))
    inside = [row for row, at in zip(rows, times, strict=True) if FROM <= at < TO]
    outside = [row for row, at in zip(rows, times, strict=True) if not FROM <= at < TO]
    assert not [label for _, _, label in outside if label]
    front = [label for kind, _, label in inside if INPUT_NAMES[kind] in ("product_views", "cart_events")]
    assert sum(label is not None for label in front) / len(front) == pytest.approx(BROKEN_SHARE, abs=0.03)
    assert not [
        label for kind, _, label in inside if label and INPUT_NAMES[kind] not in ("product_views", "cart_events")
    ]


def test_what_a_bad_release_breaks_ends_where_its_label_says() -> None:
    rows, _ = records(Incident("bad-release", FROM, TO))
    broken = [(kind, value, label) for kind, value, label in rows if label is not None]
    for kind, value, label in broken:
        assert judge(CONTRACTS[INPUT_NAMES[kind]], value, NOW).codes == label.codes
    counts = Counter(label.fault for _, _, label in broken)
    assert set(counts) == {"bad_release:missing.session_id", "bad_release:not_json"}


def test_a_stock_out_wave_empties_the_shelves_of_what_sells_first_and_delays_deliveries(quiet: Events) -> None:
    wave = traffic(Incident("stock-out-wave", FROM, TO))
    corrections = wave.pick((wave.kind == INVENTORY_EVENT) & (wave.code == REASONS.index("correction")))
    inside = corrections.pick((corrections.at >= FROM) & (corrections.at < TO + 1_000) & (corrections.quantity < -5))
    assert len(np.unique(inside.product)) == pytest.approx(WAVE_PRODUCTS, abs=3)
    orders = wave.pick((wave.kind == TRANSACTION) & (wave.at >= FROM) & (wave.at < TO))
    sold = set(orders.lines_product[orders.lines_quantity > 0].tolist())
    assert set(inside.product.tolist()) <= sold
    restocks = wave.pick((wave.kind == INVENTORY_EVENT) & (wave.code == REASONS.index("restock")))
    emptied = restocks.pick(np.isin(restocks.product, inside.product))
    assert not ((emptied.at > inside.at.min()) & (emptied.at < TO)).any()
    usual = quiet.pick((quiet.kind == INVENTORY_EVENT) & (quiet.code == REASONS.index("correction")))
    assert usual.quantity.min() >= -3


def test_incidents_and_a_speed_shape_the_run_and_belong_to_a_history() -> None:
    plain = history(86_400.0, START)
    others = [history(86_400.0, START, speed=600.0), history(86_400.0, START, incidents=(Incident("sale-peak", 1, 2),))]
    assert len({plain.run_key, *(one.run_key for one in others)}) == 3
    assert others[0].clock_seconds == 144
    with pytest.raises(OptionError, match="The speed is 0"):
        history(86_400.0, START, speed=0.0)
    with pytest.raises(OptionError, match="belong to a history"):
        live(60.0, speed=600.0)
