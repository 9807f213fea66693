"""`globalmart scorecard`: options and printing of the detectors' scorecard. No scoring."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from ingestion.scorecard import TEST_SEEDS, Score, score

EPILOG = "Examples:  globalmart scorecard   ·   globalmart scorecard --seed 7 --seed 8 --json"


def scorecard(
    seed: Annotated[
        list[int] | None,
        typer.Option(
            help=f"Seed of the runs to score by; may be repeated. [default: {', '.join(map(str, TEST_SEEDS))}]"
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Append the scores to `ops/detector_scorecard` in the lake.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure the anomaly detectors: runs with injected anomalies, made in process, and what is found in them.

    The default seeds were not used to choose thresholds. Takes about a minute a seed; needs no stack but for --write.
    """
    seeds = tuple(seed or TEST_SEEDS)
    messages = Console(stderr=True)
    scores = score(seeds, say=lambda text: messages.print(text, highlight=False))
    if write:
        from ingestion.scorecard_table import append, rows
        from lakehouse.settings import load_settings

        version = append(load_settings("batch"), rows(scores, seeds, datetime.now(UTC)))
        messages.print(f"Written to ops/detector_scorecard, version {version}.", highlight=False)
    if as_json:
        body = {"seeds": seeds, "scores": [_numbers(one) for one in scores]}
        print(orjson.dumps(body, option=orjson.OPT_INDENT_2).decode())
    else:
        print_scores(Console(highlight=False, width=None if sys.stdout.isatty() else 120), scores)


def _numbers(one: Score) -> dict[str, Any]:
    ratios = {name: round(getattr(one, name), 4) for name in ("precision", "recall", "f1")}
    return asdict(one) | ratios


def print_scores(out: Console, scores: list[Score]) -> None:
    """One line a detector, then all together and the baseline."""
    table = Table("detector", box=None, pad_edge=False)
    for name in ("anomalies", "found", "false", "crossed", "precision", "recall", "F1", "seconds"):
        table.add_column(name, justify="right")
    for one in scores:
        if one.detector == "overall":
            table.add_section()
        counts = (one.anomaly_count, one.found_count, one.false_count, one.crossed_count)
        ratios = (one.precision, one.recall, one.f1)
        seconds = "" if one.seconds is None else f"{one.seconds:.1f}"
        table.add_row(one.detector, *(f"{count:,}" for count in counts), *(f"{ratio:.3f}" for ratio in ratios), seconds)
    out.print(table)
