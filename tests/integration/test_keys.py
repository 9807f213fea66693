"""Keys in the real PostgreSQL: issued and used at once, revoked and expired within seconds, known while PostgreSQL is away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from conftest import Stack, wait_for
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError
from typer.testing import CliRunner

from api.access import Access, Role
from api.app import create_app
from api.audit import lines
from api.auth import HEADER
from api.desk.core import Desk
from api.desk.database import connect as connect_desk
from api.desk.database import migrate as migrate_desk
from api.desk.rules import load_rules
from api.keys.command import app as command
from api.keys.database import connect, migrate
from api.keys.model import Key, KeyRefusedError, digest, new_key
from api.keys.store import Store
from api.keys.tables import SCHEMA, metadata
from api.session import COOKIE
from lakehouse.findings import Finding, finding_id
from lakehouse.settings import CHECKOUT, Settings, load_settings

pytestmark = pytest.mark.integration

SEEN_SECONDS = 5.0
VIEWER = Access("", "tests", Role.viewer)


def _engine(service: Any) -> Engine:
    engine = connect(load_settings(service))
    assert engine is not None
    return engine


@pytest.fixture(scope="module")
def store(stack: Stack) -> Iterator[Store]:
    """As the command has it."""
    stack("postgres")
    engine = _engine("operator")
    yield Store(engine)
    engine.dispose()


@pytest.fixture
def issue(store: Store) -> Callable[..., tuple[Key, str]]:
    def issued(access: Access = VIEWER, lasts: timedelta | None = None) -> tuple[Key, str]:
        now = datetime.now(UTC)
        return store.issue(access, "tests", now, now + lasts if lasts else None)

    return issued


@pytest.fixture
def settings(store: Store, tmp_path: Path) -> Settings:
    return load_settings("api").model_copy(update={"state_dir": tmp_path, "lake_uri": tmp_path.as_uri()})


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A worker without anything to serve: whom it lets in, it answers 503 `not-ready`."""
    with TestClient(create_app(settings), follow_redirects=False) as worker:
        yield worker


def ask(client: TestClient, key: str, path: str = "/v1/sales") -> tuple[int, str]:
    response = client.get(path, headers={HEADER: key})
    return response.status_code, response.json()["type"].rpartition(":")[2]


LET_IN = (503, "not-ready")


def test_a_key_is_good_at_once_and_its_text_is_nowhere(client: TestClient, issue: Any, store: Store) -> None:
    key, shown = issue()
    assert ask(client, shown) == LET_IN
    assert ask(client, shown[:-1] + ("a" if shown[-1] != "a" else "b")) == (401, "unauthorized")
    with _engine("operator").connect() as connection:
        rows = connection.execute(text(f"SELECT * FROM {SCHEMA}.keys WHERE key_id = :id"), {"id": key.key_id}).all()
    assert len(rows) == 1
    assert digest(shown) in [bytes(value) for value in rows[0] if isinstance(value, bytes | memoryview)]
    assert shown.split("_", 2)[2] not in str(rows)  # the secret may hold underscores


def test_a_key_that_was_never_issued_is_refused_however_well_it_is_formed(client: TestClient) -> None:
    assert ask(client, new_key()[1]) == (401, "unauthorized")


def test_a_revoked_key_is_refused_within_seconds_and_so_is_its_session(
    client: TestClient, issue: Any, store: Store
) -> None:
    key, shown = issue()
    assert client.post("/sign-in", data={"key": shown}).status_code == 303
    assert client.get("/v1/sales").status_code == 503
    begin = time.monotonic()
    store.revoke(key.key_id, "tests", datetime.now(UTC))
    wait_for(lambda: ask(client, shown)[0] == 401, "the key refused", SEEN_SECONDS)
    assert time.monotonic() - begin < SEEN_SECONDS
    response = client.get("/v1/sales")  # by its cookie
    assert response.status_code == 401
    assert response.json()["detail"].startswith("This API key was revoked at ")
    again = store.revoke(key.key_id, "somebody else", datetime.now(UTC))
    assert again.revoked_by == "tests"


def test_an_expired_key_is_refused_until_it_is_given_another_end(client: TestClient, issue: Any, store: Store) -> None:
    key, shown = issue(lasts=timedelta(seconds=1.5))
    assert ask(client, shown) == LET_IN
    wait_for(lambda: ask(client, shown)[0] == 401, "the key expired", SEEN_SECONDS)
    assert "expired at" in client.get("/v1/sales", headers={HEADER: shown}).json()["detail"]
    store.expire(key.key_id, datetime.now(UTC) + timedelta(hours=1))
    wait_for(lambda: ask(client, shown) == LET_IN, "the key good again", SEEN_SECONDS)


def test_a_session_that_was_signed_out_of_is_refused_by_other_workers_too(
    settings: Settings, client: TestClient, issue: Any
) -> None:
    _, shown = issue()
    client.post("/sign-in", data={"key": shown})
    cookie = {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
    token = client.app.state.sessions.read(client.cookies[COOKIE]).csrf_token  # type: ignore[attr-defined]
    with TestClient(create_app(settings)) as other:
        assert other.get("/v1/sales", headers=cookie).status_code == 503
        assert client.post("/sign-out", data={"csrf_token": token}).status_code == 303
        assert client.get("/v1/sales", headers=cookie).status_code == 401
        wait_for(lambda: other.get("/v1/sales", headers=cookie).status_code == 401, "signed out", SEEN_SECONDS)


def test_while_postgres_is_away_known_keys_are_good_and_unknown_ones_are_not_called_wrong(
    stack: Stack, client: TestClient, issue: Any, settings: Settings
) -> None:
    _, known = issue()
    _, expiring = issue(lasts=timedelta(seconds=2))
    assert {ask(client, known), ask(client, expiring)} == {LET_IN}
    _, unseen = issue()
    setup = load_settings().api_key.get_secret_value()
    stack.stop("postgres")
    try:
        assert ask(client, unseen) == (503, "keys-away")
        assert ask(client, "wrong") == (401, "unauthorized")
        assert {ask(client, known), ask(client, setup)} == {LET_IN}
        wait_for(lambda: ask(client, expiring)[0] == 401, "expired all the same", SEEN_SECONDS)
        with TestClient(create_app(settings)) as fresh:  # a worker that has never seen PostgreSQL
            assert ask(fresh, known) == (503, "keys-away")
            assert ask(fresh, setup) == LET_IN
    finally:
        stack("postgres")
    wait_for(lambda: ask(client, unseen) == LET_IN, "known once PostgreSQL is back", 15)
    assert ask(client, new_key()[1]) == (401, "unauthorized")


def test_the_api_s_role_can_neither_make_a_key_nor_bring_one_back(issue: Any) -> None:
    key, _ = issue()
    forbidden = (
        f"INSERT INTO {SCHEMA}.keys SELECT * FROM {SCHEMA}.keys",
        f"UPDATE {SCHEMA}.keys SET role = 'admin'",
        f"UPDATE {SCHEMA}.keys SET revoked_at = NULL",
        f"DELETE FROM {SCHEMA}.keys",
        f"DELETE FROM {SCHEMA}.ended_sessions",
        f"CREATE TABLE {SCHEMA}.other (n integer)",
        "CREATE TABLE public.other (n integer)",
        "CREATE TABLE desk.other (n integer)",
        "CREATE TABLE quarantine.other (n integer)",
        "CREATE ROLE other",
        "SELECT rolpassword FROM pg_authid",
    )
    engine = _engine("api")
    for statement in forbidden:
        with pytest.raises(ProgrammingError, match=r"permission denied|must be"), engine.begin() as connection:
            connection.execute(text(statement))
    Store(engine).used([(key.key_id, datetime.now(UTC))])
    engine.dispose()


def test_when_a_key_was_used_is_noted_and_never_goes_back(client: TestClient, issue: Any, store: Store) -> None:
    key, shown = issue()
    before = datetime.now(UTC)
    assert ask(client, shown) == LET_IN
    ring = client.app.state.ring  # type: ignore[attr-defined]
    ring.stop()
    noted = {one.key_id: one.last_used_at for one in store.all()}[key.key_id]
    assert noted is not None
    assert before <= noted <= datetime.now(UTC)
    store.used([(key.key_id, before - timedelta(days=1))])
    assert {one.key_id: one.last_used_at for one in store.all()}[key.key_id] == noted


def test_a_look_up_costs_well_under_a_millisecond(client: TestClient, issue: Any) -> None:
    shown = [issue()[1] for _ in range(50)]
    ring = client.app.state.ring  # type: ignore[attr-defined]
    ring.look()
    begin = time.process_time()
    for _ in range(20):
        for one in shown:
            ring.find(one)
    wrong = new_key()[1]
    for _ in range(1000):
        with pytest.raises(KeyRefusedError):
            ring.find(wrong)
    assert (time.process_time() - begin) / 2000 < 0.0002


def test_the_migrations_make_what_the_code_expects_and_may_run_again(store: Store) -> None:
    migrate(load_settings("operator"))
    options = {
        "version_table_schema": SCHEMA,
        "include_schemas": True,
        "include_name": lambda name, kind, _parents: kind != "schema" or name == SCHEMA,
    }
    with _engine("operator").connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    assert found == []


def test_the_command_issues_lists_ends_and_revokes(stack: Stack, store: Store, client: TestClient) -> None:
    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(command, [*arguments, "--json"])
        assert result.exit_code == 0, result.output
        return orjson.loads(result.output)

    made = run(
        "issue", "Berlin team", "--role", "analyst", "--country", "DE", "--personal", "--expires", "90d", "--by", "me"
    )
    shown = made.pop("key")
    expected = {"name": "Berlin team", "role": "analyst", "countries": ["DE"], "sees_personal": True, "state": "valid"}
    assert {name: made[name] for name in expected} == expected
    assert (made["created_by"], made["revoked_at"], made["last_used_at"]) == ("me", None, None)
    assert ask(client, shown) == LET_IN
    listed = run("list")
    assert [one for one in listed if one["key_id"] == made["key_id"]] == [made]
    assert shown.split("_", 2)[2] not in str(listed)
    assert "sha256" not in str(listed)
    assert run("expire", made["key_id"], "--expires", "never")["expires_at"] is None
    assert run("revoke", made["key_id"], "--by", "me")["state"] == "revoked"
    assert made["key_id"] not in [one["key_id"] for one in run("list")]
    assert made["key_id"] in [one["key_id"] for one in run("list", "--all")]
    told = run("audit", "--key", made["key_id"])
    assert [line["what"] for line in told] == ["key_issued", "key_end_changed", "key_revoked"]
    plain = CliRunner().invoke(command, ["issue", "by hand", "--expires", "1h"])
    assert plain.stdout.strip().startswith("gm_")
    assert "It is not shown again." in plain.stderr
    unknown = CliRunner().invoke(command, ["revoke", "000000000000"])
    assert str(unknown.exception) == "There is no key '000000000000': `globalmart keys list` shows them."


def test_an_operator_changes_alerts_with_the_api_s_own_role(client: TestClient, settings: Settings, issue: Any) -> None:
    desk = connect_desk(load_settings("desk"))
    migrate_desk(desk)
    now = datetime.now(UTC)
    finding = Finding(finding_id("test", "x"), "keys_test", "warning", "keys:test-x", "Stock", "is low", now, now)
    Desk(desk, load_rules(CHECKOUT / load_settings().alert_rules), frozenset()).tell([finding], now)
    desk.dispose()
    _, operator = issue(Access("", "Ada", Role.operator))
    _, viewer = issue()
    (alert,) = client.get("/v1/alerts?kind=keys_test", headers={HEADER: viewer}).json()["data"]
    path = f"/v1/alerts/{alert['alert_id']}/acknowledge"
    assert client.post(path, json={"note": "mine"}, headers={HEADER: viewer}).status_code == 403
    changed = client.post(path, json={"note": "mine"}, headers={HEADER: operator})
    assert changed.status_code == 200, changed.text
    assert changed.json()["state"] == "acknowledged"
    noted = [(line["what"], line["key_name"]) for line in lines(settings, 2, now) if line["path"] == path]
    assert noted == [("change", "tests"), ("change", "Ada")]
