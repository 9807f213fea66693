"""Each request is counted under its route as declared, refused ones too, and no request can make up a label."""

from __future__ import annotations

from fastapi.testclient import TestClient
from prometheus_client import REGISTRY

from api.app import create_app
from lakehouse.settings import Settings

from .conftest import HEADERS


def count(method: str, route: str, status: int) -> float:
    labels = {"method": method, "route": route, "status": str(status)}
    return REGISTRY.get_sample_value("globalmart_api_requests_total", labels) or 0.0


def timed(method: str, route: str) -> float:
    return REGISTRY.get_sample_value("globalmart_api_request_seconds_count", {"method": method, "route": route}) or 0.0


def test_requests_count_by_route_and_status(settings: Settings) -> None:
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        before = count("GET", "/health", 200), timed("GET", "/health"), count("GET", "none", 401)
        assert client.get("/health").status_code == 200
        assert client.get("/v1/made-up-17").status_code == 401
        assert (count("GET", "/health", 200), timed("GET", "/health"), count("GET", "none", 401)) == tuple(
            one + 1 for one in before
        )
        missing, odd = count("GET", "none", 404), count("other", "none", 401)
        assert client.get("/v1/made-up-18", headers=HEADERS).status_code == 404
        assert client.request("BREW", "/coffee").status_code == 401
        assert count("GET", "none", 404) == missing + 1
        assert count("other", "none", 401) == odd + 1
    made_up = [sample for metric in REGISTRY.collect() for sample in metric.samples if "made-up" in str(sample.labels)]
    assert made_up == []
