"""The command: options that make no sense end it with 2 and one sentence, before anything is sent."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from ingestion.command import generate

APP = typer.Typer()
APP.command()(generate)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--rate", "-5"], "The rate is -5; it is a number of records a second above 0"),
        (["--rate", "0"], "The rate is 0;"),
        (["--duration", "soon"], "The duration 'soon' is not one;"),
        (["--history", "forever"], "The history 'forever' is not one;"),
        (["--history", "1d", "--rate", "5"], "--history goes as fast as it can; leave --rate and --duration out."),
        (["--start", "2026-01-01"], "--start belongs to --history"),
        (["--history", "1d", "--start", "tomorrow"], "The start 'tomorrow' is no date"),
        (["--scale", "2"], "The scale is 2;"),
        (["--streams", "transactions,orders"], "There is no stream 'orders'; there are transactions, product_views"),
        (["--late", "1.5"], "--late is 1.5; a share lies between 0 and 1"),
        (["--duplicates", "-1"], "--duplicates is -1; a share lies between 0 and 1"),
        (["--late", "0.6", "--skew", "0.6"], "The fault shares add up to 1.2;"),
        (["--truth", "none"], "--truth is 'none'; it is `faults` or `full`."),
    ],
)
def test_options_that_make_no_sense_are_refused_in_one_sentence(arguments: list[str], sentence: str) -> None:
    result = CliRunner().invoke(APP, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(sentence)
    assert result.stderr.count("\n") == 1


def test_help_names_every_option() -> None:
    text = CliRunner().invoke(APP, ["--help"], env={"COLUMNS": "200"}).stdout
    for option in (
        "--rate",
        "--duration",
        "--history",
        "--scale",
        "--start",
        "--seed",
        "--streams",
        "--duplicates",
        "--json",
    ):
        assert option in text
