"""The authorisation matrix, made from the OpenAPI document: every operation with every kind of key, over data and real keys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conftest import Stack
from fastapi.testclient import TestClient
from unit.api.conftest import Lake

from api.access import Access, Role
from api.app import create_app
from api.auth import HEADER, is_open
from api.keys.database import connect
from api.keys.model import new_key
from api.keys.store import Store
from api.refresher import Refresher
from lakehouse.settings import load_settings

pytestmark = pytest.mark.integration

SEES = frozenset({"DE"})
OTHER = "US"


@pytest.fixture(scope="module")
def worker(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    stack("postgres")
    home = tmp_path_factory.mktemp("matrix")
    settings = load_settings("api").model_copy(
        update={"state_dir": home / "state", "lake_uri": (home / "lake").as_uri(), "api_requests_per_second": 100_000}
    )
    Lake(settings).fill_all()
    Refresher(settings).refresh()
    with TestClient(create_app(settings), raise_server_exceptions=False, follow_redirects=False) as client:
        yield client


@pytest.fixture(scope="module")
def keys(worker: TestClient) -> dict[str, str]:
    """Key texts by what they are, the roles' own among them."""
    engine = connect(load_settings("operator"))
    assert engine is not None
    store, now = Store(engine), datetime.now(UTC)

    def key(role: Role, countries: frozenset[str] | None = None, lasts: float = 3600) -> tuple[str, str]:
        made, shown = store.issue(Access("", "matrix", role, countries), "tests", now, now + timedelta(seconds=lasts))
        return made.key_id, shown

    made = {role.name: key(role)[1] for role in Role}
    made |= {"some countries": key(Role.admin, SEES)[1], "expired": key(Role.admin, lasts=-1)[1]}
    revoked, made["revoked"] = key(Role.admin)
    store.revoke(revoked, "tests", now)
    made |= {"malformed": "gm_x", "unknown": new_key()[1]}
    engine.dispose()
    worker.app.state.ring.look()  # type: ignore[attr-defined]
    return made


Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module")
def operations(worker: TestClient) -> list[Operation]:
    paths = worker.get("/openapi.json").json()["paths"]
    return [(method.upper(), path, facts) for path, item in paths.items() for method, facts in item.items()]


def _ask(worker: TestClient, operation: Operation, key: str | None, **query: str) -> int:
    """The status of the operation with its parameters' examples."""
    method, path, facts = operation
    for parameter in facts.get("parameters", []):
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(parameter["schema"].get("examples", ["1"])[0]))
        elif parameter.get("required"):
            query.setdefault(parameter["name"], parameter["schema"].get("examples", [""])[0])
    headers = {HEADER: key} if key is not None else {}
    return worker.request(method, path, params=query, headers=headers).status_code


def test_every_operation_says_the_role_that_it_needs(operations: list[Operation]) -> None:
    assert len(operations) > 5
    for _, path, facts in operations:
        assert ("x-required-role" in facts) == (not is_open(path)), path
        assert ("security" in facts) == (not is_open(path)), path


@pytest.mark.parametrize("kind", [None, "malformed", "unknown", "revoked", "expired"])
def test_without_a_good_key_only_what_is_open_answers(
    worker: TestClient, keys: dict[str, str], operations: list[Operation], kind: str | None
) -> None:
    for operation in operations:
        status = _ask(worker, operation, keys[kind] if kind else None)
        assert (status == 401) == (not is_open(operation[1])), (operation[:2], status)


@pytest.mark.parametrize("role", [role.name for role in Role])
def test_a_role_gets_what_it_may_and_403_for_the_rest(
    worker: TestClient, keys: dict[str, str], operations: list[Operation], role: str
) -> None:
    for operation in operations:
        status = _ask_unless_stream(worker, operation, keys[role])
        if status is None or is_open(operation[1]):
            continue
        needed = Role[operation[2]["x-required-role"]]
        assert status != 401, operation[:2]
        if Role[role] < needed:
            assert status == 403, (operation[:2], status)
        elif not _is_of_one_person(operation):  # real user ids in examples: refused without the grant
            assert status != 403, (operation[:2], status)


def test_a_key_for_some_countries_gets_no_other_one_and_no_figures_of_all(
    worker: TestClient, keys: dict[str, str], operations: list[Operation]
) -> None:
    looked = 0
    for operation in operations:
        _, path, facts = operation
        if is_open(path):
            continue
        if facts["x-all-countries"]:
            assert _ask_unless_stream(worker, operation, keys["some countries"]) in {403, None}, path
            looked += 1
        elif "country" in {parameter["name"] for parameter in facts.get("parameters", [])}:
            assert _ask(worker, operation, keys["some countries"], country=OTHER) == 403, path
            assert _ask(worker, operation, keys["some countries"], country=min(SEES)) != 403, path
            assert _ask(worker, operation, keys["some countries"]) != 403, path
            looked += 1
    assert looked


def _ask_unless_stream(worker: TestClient, operation: Operation, key: str) -> int | None:
    content = str(operation[2]["responses"].get("200", {}).get("content", {}))
    return None if "text/event-stream" in content else _ask(worker, operation, key)


def _is_of_one_person(operation: Operation) -> bool:
    return "{user_id}" in operation[1]
