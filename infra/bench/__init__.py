"""`globalmart bench`: what the platform does in a second, each beside its peer, on a throw-away stack that is gone afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer

from infra.bench.alerts import alerts
from infra.bench.api import api
from infra.bench.base import BenchError, Result
from infra.bench.daily import daily
from infra.bench.drain import drain
from infra.bench.freshness import freshness
from infra.bench.generator import generator
from infra.bench.scale import CORE_HOUR, RATES, scale
from infra.bench.soak import soak
from infra.bench.warehouse import CUSTOMERS, warehouse

EPILOG = "Example: globalmart bench drain --json"
BENCHMARKS: dict[str, Callable[[int], Result]] = {
    "generator": generator,
    "drain": drain,
    "freshness": freshness,
    "alerts": alerts,
    "api": api,
    "soak": soak,
}


def bench(
    name: Annotated[
        str, typer.Argument(help="generator, drain, freshness, alerts, api, soak, warehouse, daily, scale, or all.")
    ] = "all",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per benchmark.")] = False,
    seconds: Annotated[int, typer.Option(min=5, help="How long to measure, where time is the measure.")] = 60,
    customers: Annotated[int, typer.Option(min=100, help="warehouse and daily: customers at full size.")] = CUSTOMERS,
    rates: Annotated[str, typer.Option(help="scale: events a second of each step, rising.")] = ",".join(
        map(str, RATES)
    ),
    core_hour: Annotated[float, typer.Option(min=0, help="scale: dollars that a core costs an hour.")] = CORE_HOUR,
) -> None:
    """Run one benchmark on a throw-away stack of its own and print ours beside its peer."""
    runs: dict[str, Callable[[], Result]] = {
        **{one: partial(run, seconds) for one, run in BENCHMARKS.items()},
        "warehouse": partial(warehouse, customers),
        "daily": partial(daily, customers),
        "scale": partial(scale, seconds, _rates(rates), core_hour),
    }
    if name != "all" and name not in runs:
        raise BenchError(f"There is no benchmark {name!r}: there are {', '.join(runs)}, and all.")
    for run in runs.values() if name == "all" else [runs[name]]:
        result = run()
        if as_json:
            print(json.dumps(asdict(result)))
        else:
            beside = "" if result.peer is None else f", peer {result.peer:,.1f} (ratio {result.ratio:.2f})"
            print(f"{result.name}: {result.ours:,.1f} {result.unit}{beside}")
            for key, value in result.details.items():
                print(f"  {key}: {value}")


def _rates(text: str) -> tuple[int, ...]:
    """Raises BenchError where `text` is no list of rising rates."""
    parts = text.split(",")
    found = tuple(int(one) for one in parts if one.strip().isdigit())
    if len(found) != len(parts) or 0 in found or list(found) != sorted(set(found)):
        raise BenchError(f"The rates {text!r} are no rising list of whole numbers such as 500,1000,2000.")
    return found
