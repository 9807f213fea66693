"""The operator's commands on the real stack: broken records repaired, replayed once, discarded; crashes between any two steps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from conftest import Stack, wait_for
from kafka import KafkaProducer
from records import text
from settling import ends, settle, wait_taken
from typer.testing import CliRunner

from lakehouse.quarantine.command import app
from lakehouse.quarantine.lake import Filters, QuarantineLake
from lakehouse.quarantine.positions import Position
from lakehouse.quarantine.schema import metadata
from lakehouse.quarantine.store import LOCK, Store
from lakehouse.settings import CHECKOUT, Settings
from lakehouse.storage import open_table
from lakehouse.tables import BRONZE_EVENTS, CART_EVENTS, DUPLICATES

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Settings:
    return stack("kafka", "minio", "postgres", "streaming")


@pytest.fixture(scope="module")
def producer(settings: Settings) -> Iterator[KafkaProducer]:
    one = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers.split(","), acks="all", linger_ms=5)
    yield one
    one.close()


@pytest.fixture
def send(settings: Settings, producer: KafkaProducer) -> Callable[[str, list[bytes | None]], list[Position]]:
    """Send values to partition 1 of a topic and wait until the stream has taken them; returns their positions."""

    def go(topic: str, values: list[bytes | None]) -> list[Position]:
        futures = [producer.send(topic, key=b"u00000042", value=value, partition=1) for value in values]
        places = [future.get(30) for future in futures]
        positions = [Position(place.topic, place.partition, place.offset) for place in places]
        wait_taken(settings)
        return positions

    return go


def start(*args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "infra.cli", "quarantine", *args]
    return subprocess.Popen(
        command, cwd=CHECKOUT, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def globalmart(*args: str) -> dict[str, Any]:
    """What `globalmart quarantine` prints with --json; in this process, which spares the start of another."""
    result = CliRunner().invoke(app, [*args, "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def only(positions: list[Position]) -> list[str]:
    return [word for position in positions for word in ("--position", str(position))]


def in_table(settings: Settings, table: Any, since: datetime, **values: Any) -> int:
    """Rows of `table` taken since then that have these values."""
    rows = open_table(settings, table).to_pyarrow_table(filters=[("kafka_at", ">=", since)]).to_pylist()
    return sum(all(row[name] == value for name, value in values.items()) for row in rows)


def number_as_text(count: int, session: str) -> list[bytes]:
    """Cart events whose quantity is text; their fields are otherwise right."""
    return [text("cart_events", event_id=str(uuid4()), session_id=session, quantity=str(n + 1)) for n in range(count)]


def test_a_rule_recovers_what_the_dry_run_said_and_a_second_time_changes_nothing(settings, send):
    since = datetime.now(UTC)
    twin = str(uuid4())
    send("cart_events", [text("cart_events", event_id=twin, session_id="s-rule")])
    values = [
        *number_as_text(30, "s-rule"),
        text("cart_events", event_id=twin, session_id="s-rule", quantity="2"),  # repaired, it repeats the first
        text(
            "cart_events", event_id=str(uuid4()), session_id="s-rule", quantity="3", country="FR"
        ),  # breaks another rule
    ]
    bad = send("cart_events", values)
    chosen = ["--reason", "number_as_text.quantity", "--topic", "cart_events", "--since", since.isoformat()]
    command = ["repair", *chosen, "--rule", "number:quantity"]
    counts = {
        "selected": 32,
        "silver": 30,
        "duplicates": 1,
        "conflict": 0,
        "broken": 1,
        "unreadable": 0,
        "untouched": 0,
    }

    before = ends(settings)
    dry = globalmart(*command)
    assert (dry["applied"], dry["counts"]) == (False, counts)
    assert dry["failures"] == [{"why": "country is not one of US, GB, DE, IN, BR", "count": 1, "example": str(bad[31])}]
    assert '"quantity":1' in dry["examples"][0]["after"]["text"]
    assert ends(settings) == before
    assert globalmart("list", *chosen)["states"] == {
        "open": 32,
        "pending": 0,
        "repaired": 0,
        "failed": 0,
        "discarded": 0,
    }

    done = globalmart(*command, "--apply", "--why", "the app of 14 March sent text", "--by", "tester")
    assert (done["applied"], done["counts"], done["sent"], done["found"]) == (True, counts, 31, 0)
    assert done["outcomes"] == {"silver": 30, "duplicates": 1}
    books = settle(settings)
    assert in_table(settings, CART_EVENTS, since, session_id="s-rule") == 31
    assert globalmart("list", *chosen)["states"] == {
        "open": 1,
        "pending": 0,
        "repaired": 31,
        "failed": 0,
        "discarded": 0,
    }

    after = ends(settings)
    again = globalmart(*command, "--apply")
    assert (again["applied"], again["counts"]["selected"], again["already_decided"]) == (False, 1, 31)
    assert globalmart("replay") == {"sent": 0, "found": 0, "outcomes": {}, "replays": []}
    assert ends(settings) == after
    assert settle(settings).topics == books.topics

    origin = globalmart("show", str(bad[0]))
    (decision,) = origin["decisions"]
    assert (origin["outcome"], [reason["reason"] for reason in origin["reasons"]]) == (
        "quarantine",
        ["number_as_text.quantity"],
    )
    assert origin["value"]["text"] == values[0].decode()
    assert (decision["made_by"], decision["change"], decision["outcome"]) == ("tester", ["number:quantity"], "silver")
    replay = globalmart("show", decision["replay"])
    assert (replay["outcome"], replay["origin"], replay["repair"]) == ("silver", str(bad[0]), decision["decision_id"])
    assert replay["silver"]["event_id"] == json.loads(values[0])["event_id"]


def test_playing_a_repaired_record_again_on_purpose_gives_a_duplicate_and_the_books_stay_closed(settings, send):
    since = datetime.now(UTC)
    bad = send("cart_events", number_as_text(4, "s-again"))
    command = ["repair", *only(bad), "--rule", "number:quantity", "--apply"]
    assert globalmart(*command)["outcomes"] == {"silver": 4}
    second = globalmart(*command, "--again")
    assert second["counts"]["duplicates"] == 4
    assert second["outcomes"] == {"duplicates": 4}
    settle(settings)
    assert in_table(settings, CART_EVENTS, since, session_id="s-again") == 4
    assert in_table(settings, DUPLICATES, since) == 4


def test_one_record_that_is_not_even_json_is_recovered_by_a_patch(settings, send, tmp_path):
    (bad,) = send("product_views", [b"order 4711: two lamps \xff\x1b[31m"])
    patch = tmp_path / "patch.json"
    patch.write_bytes(text("product_views", event_id=str(uuid4())))
    done = globalmart("repair", *only([bad]), "--patch", str(patch), "--apply")
    assert done["outcomes"] == {"silver": 1}
    shown = start("list", "--reason", "not_utf8", "--topic", "product_views")
    out, _ = shown.communicate(timeout=60)
    assert r"two lamps \xff\x1b[31m" in out
    assert "\x1b" not in out


def test_a_conflict_needs_a_new_id(settings, send):
    event_id = str(uuid4())
    _, bad = send("users", [text("users", event_id=event_id), text("users", event_id=event_id, age=77)])
    same = globalmart("repair", *only([bad]), "--rule", "set:age=78")
    assert same["counts"]["conflict"] == 1
    done = globalmart("repair", *only([bad]), "--rule", "new-id:event_id", "--apply")
    assert done["outcomes"] == {"silver": 1}


def test_what_is_discarded_stays_in_quarantine_and_is_left_alone(settings, send):
    bad = send("inventory_events", [text("inventory_events", event_id=str(uuid4()), reason="theft") for _ in range(3)])
    done = globalmart("discard", *only(bad), "--why", "a drill")
    assert (done["discarded"], done["positions"]) == (3, [str(position) for position in bad])
    assert globalmart("list", "--since", "1h", "--reason", "unknown_value.reason")["states"]["discarded"] >= 3
    assert [one.position for one in QuarantineLake(settings).records(Filters(positions=tuple(bad)))] == bad
    tried = globalmart("repair", *only(bad), "--rule", "map:reason=theft>correction")
    assert (tried["counts"]["selected"], tried["already_decided"]) == (0, 3)
    (decision,) = globalmart("show", str(bad[0]))["decisions"]
    assert (decision["action"], decision["why"], decision["outcome"]) == ("discard", "a drill", "discarded")


def decided(operator: Settings, position: Position) -> int:
    """Decisions about a record, as PostgreSQL has them."""
    with psycopg.connect(operator.postgres_url.get_secret_value()) as connection:
        row = connection.execute(
            'SELECT count(*) FROM quarantine.decided_records WHERE topic = %s AND partition = %s AND "offset" = %s',
            position,
        ).fetchone()
    return row[0] if row else 0


@pytest.fixture
def frozen_kafka(stack: Stack) -> Iterator[Callable[[], None]]:
    """Kafka stands still until the function is called, or the test ends."""
    pid = stack.kill("kafka", signal.SIGSTOP)
    yield lambda: os.kill(pid, signal.SIGCONT)
    os.kill(pid, signal.SIGCONT)


@pytest.fixture
def broken(send) -> list[Position]:
    return send("cart_events", number_as_text(5, "s-crash"))


def test_killed_between_decision_and_replay_it_is_finished_by_replay(stack, settings, broken, frozen_kafka):
    running = start("repair", *only(broken), "--rule", "number:quantity", "--apply")
    wait_for(lambda: decided(stack.settings("operator"), broken[0]), "the decision is on record")
    running.kill()
    running.wait()
    frozen_kafka()
    wait_taken(settings)
    assert globalmart("list", "--since", "1h", "--reason", "number_as_text.quantity")["states"]["pending"] == 5
    done = globalmart("replay")
    assert (done["sent"], done["found"], done["outcomes"]) == (5, 0, {"silver": 5})
    assert globalmart("replay")["sent"] == 0
    settle(settings)


def test_killed_between_kafka_and_the_books_nothing_is_sent_twice(stack, settings, broken, frozen_kafka):
    since = datetime.now(UTC)
    operator = stack.settings("operator")
    running = start("repair", *only(broken), "--rule", "number:quantity", "--apply")
    wait_for(lambda: decided(operator, broken[0]), "the decision is on record")
    with psycopg.connect(operator.postgres_url.get_secret_value()) as books:
        books.execute("LOCK TABLE quarantine.decided_records IN SHARE MODE")  # no place of a replay can be written down
        frozen_kafka()
        origins = [str(position) for position in broken]
        wait_for(lambda: replays_of(settings, origins) == Counter(origins), "the replays are in bronze", 120)
        running.kill()
        running.wait()
    done = globalmart("replay")
    assert (done["sent"], done["found"], done["outcomes"]) == (0, 5, {"silver": 5})
    settle(settings)
    assert replays_of(settings, origins) == Counter(origins)
    assert in_table(settings, DUPLICATES, since) == 0


def replays_of(settings: Settings, origins: list[str]) -> Counter[str]:
    """How many records in bronze say that they come from each of `origins`."""
    rows = QuarantineLake(settings).read(BRONZE_EVENTS, ["headers"]).to_pylist()
    named = (
        (header["value"] or b"").decode()
        for row in rows
        for header in row["headers"] or ()
        if header["key"] == "globalmart-origin"
    )
    return Counter(origin for origin in named if origin in origins)


def test_an_outage_of_kafka_is_one_sentence_and_the_decision_stands(stack, settings, broken, frozen_kafka):
    running = start("repair", *only(broken), "--rule", "number:quantity", "--apply")
    _, err = running.communicate(timeout=120)
    assert running.returncode == 1
    assert "the decision is on record: when Kafka answers, run `globalmart quarantine replay`." in err.splitlines()[-1]
    assert "Traceback" not in err
    frozen_kafka()
    assert globalmart("replay", "--wait", "60")["outcomes"] == {"silver": 5}
    settle(settings)


def test_two_operators_at_once_are_told_to_wait(stack, settings):
    with psycopg.connect(stack.settings("operator").postgres_url.get_secret_value()) as first:
        first.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])  # what a running repair holds
        second = start("replay")
        _, err = second.communicate(timeout=60)
    assert (second.returncode, err) == (1, "Error: Another repair or replay is running: wait until it has ended.\n")
    assert globalmart("replay")["sent"] == 0


def test_the_migrations_make_the_tables_that_the_code_knows(stack, settings):
    url = sa.make_url(stack.settings("operator").postgres_url.get_secret_value()).set(drivername="postgresql+psycopg")
    Store(stack.settings("operator"))
    with sa.create_engine(url).connect() as connection:
        options = {
            "include_schemas": True,
            "include_name": lambda name, kind, _: kind != "schema" or name == "quarantine",
        }
        context = MigrationContext.configure(connection, opts={**options, "version_table_schema": "quarantine"})
        assert compare_metadata(context, metadata) == []


def test_postgresql_away_is_one_sentence(stack, settings):
    away = os.environ | {"GLOBALMART_POSTGRES_URL": "postgresql://operator:x@127.0.0.1:9/globalmart"}
    command = [sys.executable, "-m", "infra.cli", "quarantine", "list"]
    answer = subprocess.run(command, cwd=CHECKOUT, env=away, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 1
    assert answer.stderr.startswith("Error: PostgreSQL at 127.0.0.1:9 does not take the operator")
    assert answer.stderr.count("\n") == 1
