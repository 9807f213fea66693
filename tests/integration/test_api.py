"""The refresher and the API on MinIO, with the rights that their service has: gold written there is served, also while MinIO is away."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from fastapi.testclient import TestClient

from api.app import create_app
from api.refresher import Refresher
from lakehouse.settings import Settings, load_settings
from lakehouse.storage import delta_options, delta_uri
from lakehouse.tables import SALES_BY_MINUTE, Table

pytestmark = pytest.mark.integration

# A lake within the lake, where its owner's policy lets it write: the figures of the session's shared lake stay as they are.
PLACE = SALES_BY_MINUTE.path


def write(owner: Settings, table: Table, rows: list[tuple[Any, ...]]) -> None:
    arrays = [pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), table.schema, strict=True)]
    write_deltalake(
        delta_uri(owner, table),
        pa.Table.from_arrays(arrays, schema=table.schema),
        mode="append",
        storage_options=delta_options(owner),
        configuration=table.properties,
    )


def sale(hour: int, revenue: str, batch: int) -> tuple[Any, ...]:
    moment = datetime(2026, 3, 14, hour, 5, tzinfo=UTC)
    return (moment, "US", "Coffee", 1, 1, Decimal(revenue), batch, moment)


def revenues(client: TestClient) -> list[str]:
    response = client.get("/v1/sales?group_by=none")
    assert response.status_code == 200, response.text
    return [row["revenue"] for row in json.loads(response.text, parse_float=str)["data"]]


@pytest.fixture
def lake_uri(stack: Any) -> str:
    stack("minio")
    return f"{stack.settings('streaming').lake_uri}/{PLACE}/test-{uuid4().hex}"


@pytest.fixture
def settings(stack: Any, lake_uri: str, tmp_path: Path) -> Settings:
    """The serving service's own settings, with a state folder of the test's own."""
    serving: Settings = stack.settings("serving")
    return serving.model_copy(update={"state_dir": tmp_path, "lake_uri": lake_uri})


@pytest.fixture
def owner(stack: Any, lake_uri: str) -> Settings:
    """The streaming service's settings: it owns the table."""
    streaming: Settings = stack.settings("streaming")
    return streaming.model_copy(update={"lake_uri": lake_uri})


def test_gold_on_minio_is_served_and_stays_served_while_minio_is_away(
    stack: Any, owner: Settings, settings: Settings
) -> None:
    write(owner, SALES_BY_MINUTE, [sale(9, "12.30", 1), sale(10, "0.10", 1)])
    refresher = Refresher(settings)
    assert refresher.refresh()
    assert refresher.problems == {}
    api = stack.settings("api").model_copy(update={"state_dir": settings.state_dir, "lake_uri": settings.lake_uri})
    with TestClient(create_app(api)) as client:
        client.headers["X-API-Key"] = load_settings().api_key.get_secret_value()
        assert revenues(client) == ["12.30", "0.10"]

        write(owner, SALES_BY_MINUTE, [sale(10, "0.20", 2)])
        assert refresher.refresh()
        client.app.state.serving.look()  # type: ignore[attr-defined]
        assert revenues(client) == ["12.30", "0.30"]

        stack.stop("minio")
        assert not refresher.refresh()
        assert "gold/sales_by_minute" in refresher.problems
        assert revenues(client) == ["12.30", "0.30"]
        states = {one["name"]: one["state"] for one in client.get("/ready").json()["dependencies"]}
        assert states["storage"] == "down"

        stack("minio")
        write(owner, SALES_BY_MINUTE, [sale(11, "5.00", 3)])
        assert refresher.refresh()
        assert refresher.problems == {}
        client.app.state.serving.look()  # type: ignore[attr-defined]
        assert revenues(client) == ["12.30", "0.30", "5.00"]
