"""Notebooks from top to bottom: on a lake with some rows of everything, on one with nothing, and as files."""

from __future__ import annotations

import importlib
import json
import os
import socket
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import wait_for
from gold_lake import DAY, REVENUE, fill_gold
from notebook_runs import FOLDER, NOTEBOOKS, pictures, read, run, settings_of, shown

from lakehouse.settings import CHECKOUT, Settings

pytestmark = pytest.mark.integration

FIGURES = [
    f"  {place:<32}{REVENUE:>16,.2f}"
    for place in ("stream, gold/sales_by_minute", "warehouse, gold/fact_sales", "mart, gold/sales_trends")
]
# For each notebook how many charts it draws, and words of what it must have found in the lake of `gold_lake`
FOUND = {
    "2_customer_segmentation": (5, ["as of 2026-03-14", "Largest: lost, 16.", "champions"]),
    "3_products_and_baskets": (4, ["as of 2026-03-14", "Largest: Book 0 (p0), $30.00.", "Changed a cart: 30 · 30.0%.", "Book 0 + Book 1"]),
    "4_trends_and_forecast": (4, ["when it was $1,234.56; forecast to 2026-03-28: $1,234.56", "United States: $1,234.56.",
                                  "Revenue of 2026-03-14, USD", *FIGURES, "The API gave no answer"]),
    "5_anomaly_scorecard": (3, ["view_bot", "300 views in a minute", "1 finding of 1 detector "]),
}  # fmt: skip
MISSING = {
    "1_tour_of_the_lakehouse": "gold/orders_by_minute is not there yet",
    "2_customer_segmentation": "gold/customer_rfm is not there yet",
    "3_products_and_baskets": "gold/product_performance is not there yet",
    "4_trends_and_forecast": "gold/sales_trends is not there yet",
    "5_anomaly_scorecard": "ops/detector_scorecard is not there yet: `.venv/bin/globalmart scorecard --write`",
    "6_proof_of_the_books": "Kafka",
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, jars_dir: Path) -> dict[str, str]:
    """The environment of a lake with rows of gold."""
    home = tmp_path_factory.mktemp("notebooks")
    fill_gold(Settings(_env_file=None, lake_uri=(home / "lake").as_uri()))
    return settings_of(home / "lake", jars_dir, home)


@pytest.fixture
def lake(filled: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """What notebooks import, in this process, on that lake."""
    for name, value in filled.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("lake").Lake()


@pytest.mark.parametrize("name", FOUND)
def test_a_notebook_runs_to_its_end_and_shows_what_the_lake_has(name: str, filled: dict[str, str]) -> None:
    """The tour, which needs Spark, and the books run on the stream: test_live_figures."""
    charts, words = FOUND[name]

    book = run(name, filled)

    text = shown(book)
    assert [one for one in words if one not in text] == []
    assert "taken back" not in text
    assert "is not there yet" not in text
    assert len(pictures(book)) == charts
    assert not any("Nothing to show" in one for one in pictures(book))


def test_money_stays_exact_and_counts_whole_at_any_version(lake: Any) -> None:
    query = "SELECT sum(order_count) AS orders, sum(revenue) AS revenue FROM orders_by_minute"

    now, then = lake.sql(query), lake.sql(query, versions={"orders_by_minute": 0})

    assert now.to_dict("records") == [{"orders": 30, "revenue": Decimal("150.15")}]
    assert then.to_dict("records") == [{"orders": 10, "revenue": Decimal("50.05")}]
    assert lake.history("orders_by_minute")["version"].tolist() == [2, 1, 0]


def test_a_mart_tells_its_newest_day_and_a_value_is_no_part_of_the_query(lake: Any) -> None:
    assert lake.newest("customer_rfm") == DAY
    query = "SELECT count(*) AS n FROM customer_rfm WHERE segment = $name"
    assert lake.sql(query, name="x' OR 1=1 --")["n"].tolist() == [0]


def test_on_an_empty_lake_notebooks_say_what_to_run(
    tmp_path: Path, jars_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, one after another: six kernels more would say no more."""
    for name, value in settings_of(tmp_path / "lake", jars_dir, tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(FOLDER))
    assert set(MISSING) == set(NOTEBOOKS)
    for name, words in MISSING.items():
        scope: dict[str, object] = {}
        for cell in read(name).cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, name, "exec"), scope)  # noqa: S102 - our own notebook
        assert words in capsys.readouterr().out, name


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_committed_without_what_a_run_leaves(name: str) -> None:
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    book = json.loads(text)

    assert text == json.dumps(book, indent=1, ensure_ascii=False) + "\n"
    assert book["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert all(not cell["metadata"] for cell in book["cells"])
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert book["cells"][0]["source"][0].startswith("# ")


def test_the_command_serves_them_to_who_has_the_token_and_to_nobody_else(filled: dict[str, str]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, **filled, "GLOBALMART_NOTEBOOKS_PORT": str(port), "JUPYTER_TOKEN": "for-this-test"}
    command = [sys.executable, "-m", "infra.cli", "notebooks"]
    address = f"http://127.0.0.1:{port}/api/contents"
    server = subprocess.Popen(
        command, cwd=CHECKOUT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        stranger = wait_for(lambda: asked(address), "JupyterLab answers", 120)
        owner = httpx.get(address, params={"token": "for-this-test"})
        second = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    finally:
        server.terminate()
        server.wait(30)
    assert stranger.status_code == 403
    assert {one["name"] for one in owner.json()["content"]} >= {f"{name}.ipynb" for name in NOTEBOOKS}
    assert second.returncode == 1
    assert second.stderr.startswith(f"Error: Port {port} is taken: set GLOBALMART_NOTEBOOKS_PORT")


def asked(address: str) -> httpx.Response | None:
    try:
        return httpx.get(address)
    except httpx.TransportError:
        return None
