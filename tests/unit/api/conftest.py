"""Fixtures of the API's tests: a lake of real Delta tables in a folder, the refresher over it, the application over that."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from fastapi.testclient import TestClient

from api import deps
from api.access import Access, Role
from api.app import create_app
from api.refresher import Refresher
from lakehouse.heartbeat import beat
from lakehouse.settings import Settings
from lakehouse.storage import delta_uri
from lakehouse.tables import CUSTOMER_RFM, ORDERS_BY_MINUTE, SALES_BY_MINUTE, Table

from .gold import GOLD, QUALITY

KEY = "a-key-only-for-tests"
HEADERS = {"X-API-Key": KEY}
DAY = datetime(2026, 3, 14, tzinfo=UTC)
KNOWN = datetime(2026, 3, 14, 11, 0, 0, 123000, tzinfo=UTC)


def at(hour: int, minute: int = 0) -> datetime:
    """A moment of the test day, 14 March 2026."""
    return DAY.replace(hour=hour, minute=minute)


def sale(
    minute: datetime, country: str, category: str, units: int, lines: int, revenue: str, batch: int = 1
) -> tuple[Any, ...]:
    return (minute, country, category, units, lines, Decimal(revenue), batch, KNOWN)


def order(minute: datetime, country: str, method: str, count: int, revenue: str, batch: int = 1) -> tuple[Any, ...]:
    return (minute, country, method, count, Decimal(revenue), batch, KNOWN)


def customer(day: date, user: str, recency: int, frequency: int, monetary: str, segment: str) -> tuple[Any, ...]:
    return (day, user, recency, frequency, Decimal(monetary), 5, 4, 3, segment)


SALES = [
    sale(at(9, 5), "US", "Coffee", 3, 2, "12.30"),
    sale(at(9, 5), "US", "Coffee", 1, 1, "0.70", batch=2),
    sale(at(9, 59), "US", "Tents", 1, 1, "199.99"),
    sale(at(9, 5), "DE", "Coffee", 2, 1, "8.00"),
    sale(at(10, 0), "US", "Coffee", 1, 1, "4.10"),
]
ORDERS = [
    order(at(9, 5), "US", "paypal", 2, "12.30"),
    order(at(9, 6), "US", "paypal", 1, "200.69", batch=2),
    order(at(9, 5), "DE", "gift_card", 1, "8.00"),
    order(at(10, 0), "US", "credit_card", 1, "4.10"),
]
RFM = [
    customer(date(2026, 3, 13), "u1", 0, 6, "600.00", "champions"),
    customer(date(2026, 3, 14), "u1", 1, 7, "700.50", "champions"),
    customer(date(2026, 3, 14), "u2", 2, 6, "550.00", "champions"),
    customer(date(2026, 3, 14), "u3", 300, 1, "9.99", "lost"),
]


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came"
        time.sleep(0.01)


class Lake:
    """Writes rows into the gold tables, as their owners do."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def write(self, table: Table, rows: list[tuple[Any, ...]], mode: str = "append", **options: Any) -> None:
        columns = list(zip(*rows, strict=True)) if rows else [[] for _ in table.columns]
        arrays = [pa.array(values, field.type) for values, field in zip(columns, table.schema, strict=True)]
        write_deltalake(
            delta_uri(self.settings, table),
            pa.Table.from_arrays(arrays, schema=table.schema),
            mode=mode,
            partition_by=list(table.partition_by) or None,
            configuration=table.properties,
            **options,
        )

    def table(self, table: Table) -> DeltaTable:
        return DeltaTable(delta_uri(self.settings, table))

    def fill(self) -> None:
        self.write(SALES_BY_MINUTE, SALES)
        self.write(ORDERS_BY_MINUTE, ORDERS)
        self.write(CUSTOMER_RFM, RFM)

    def fill_all(self) -> None:
        """As `fill`, and every other table that the tests ask for."""
        self.fill()
        for table, rows in GOLD.items():
            self.write(table, rows)


def settings_in(folder: Path) -> Settings:
    return Settings(
        _env_file=None,
        state_dir=folder / "state",
        lake_uri=(folder / "lake").as_uri(),
        api_key_sha256=hashlib.sha256(KEY.encode()).hexdigest(),
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return Lake(settings)


@pytest.fixture
def refresher(settings: Settings) -> Refresher:
    return Refresher(settings)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """Over whatever the serving folder has when the test asks; it sends the key."""
    with TestClient(create_app(settings), headers=HEADERS, raise_server_exceptions=False) as test_client:
        yield test_client


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with SALES, ORDERS, RFM and all of GOLD in its lake, and the serving files made from them."""
    folder = tmp_path_factory.mktemp("template")
    settings = settings_in(folder)
    Lake(settings).fill_all()
    run = settings.quality_dir / "runs/run-1"
    run.mkdir(parents=True)
    (run / "results.jsonl").write_text(json.dumps(QUALITY) + "\n")
    refresher = Refresher(settings)
    assert refresher.refresh()
    assert refresher.problems == {}
    return folder


@pytest.fixture
def filled(template: Path, tmp_path: Path, request: pytest.FixtureRequest) -> TestClient:
    """A client over a copy of the template; `lake` and `refresher` of the same test are on that copy too."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    settings: Settings = request.getfixturevalue("settings")
    beat(settings, "refresher", "running", checked_at=datetime.now(UTC).isoformat())
    test_client: TestClient = request.getfixturevalue("client")
    return test_client


@pytest.fixture(scope="module")
def api(template: Path) -> Iterator[TestClient]:
    """A client over the template itself, for tests that only read; not held to a rate."""
    settings = settings_in(template).model_copy(update={"api_requests_per_second": 1_000_000})
    with TestClient(create_app(settings), headers=HEADERS, raise_server_exceptions=False) as test_client:
        yield test_client


def masked(client: TestClient, **rights: Any) -> TestClient:
    """The same application for a key with other rights than set-up's: no personal data, and those of `Access` given."""
    access = Access("k", "k", **{"role": Role.viewer, **rights})
    client.app.dependency_overrides[deps._access] = lambda: access  # type: ignore[attr-defined]
    return client


@pytest.fixture
def as_key(api: TestClient) -> Iterator[Callable[..., TestClient]]:
    """`as_key(countries=…)`: the client of `api` with such rights until the test ends."""
    yield lambda **rights: masked(api, **rights)
    api.app.dependency_overrides.clear()  # type: ignore[attr-defined]
