"""`globalmart bench scale` without its cluster: rates, costs, and what is read from logs and processes."""

from __future__ import annotations

import pytest

from infra.bench import _rates
from infra.bench.base import BenchError
from infra.bench.parts import GENERATOR, _phases
from infra.bench.scale import RATES, _cost


def test_rates_are_read_as_they_are_shown() -> None:
    assert _rates(",".join(map(str, RATES))) == RATES
    assert _rates("500, 1000") == (500, 1000)


@pytest.mark.parametrize("text", ["", "fast", "500,", "0,500", "500,500", "1000,500", "500,-1"])
def test_rates_that_do_not_rise_are_refused(text: str) -> None:
    with pytest.raises(BenchError, match="are no rising list of whole numbers"):
        _rates(text)


def test_the_cost_is_that_of_all_parts_but_the_generator() -> None:
    used = {"Kafka": 30.0, "driver, JVM": 60.0, GENERATOR: 1000.0}
    assert _cost(used, 500_000, core_hour=0.4) == {"core_seconds_per_million": 180, "dollars_per_million": 0.02}


def test_phases_are_summed_over_the_batches_that_were_committed() -> None:
    lines = [
        {"message": "committed", "seconds": {"refine": 1.0, "live": 0.5}},
        {"message": "waiting for Kafka", "seconds": {"refine": 9.0}},
        {"message": "committed", "seconds": {"refine": 2.0}},
        {"message": "started"},
    ]
    assert _phases(lines) == {"refine": 3.0, "live": 0.5}
