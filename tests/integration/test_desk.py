"""The alert desk on the real Kafka and PostgreSQL: exactly-once intake, delivery through faults and kills, storms, life cycle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from conftest import Stack, wait_for
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from receivers import MailServer, Webhook
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from api.desk.channels.ways import log_path
from api.desk.database import connect, migrate
from api.desk.sources.lag import Lag
from api.desk.sources.recent import RecentLedger
from api.desk.tables import SCHEMA, metadata
from lakehouse.findings import Finding, finding_id, rfc3339
from lakehouse.settings import CHECKOUT, Settings, load_settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

BURST, PER_MINUTE = 20, 60
RULES = f"""
[delivery]
first_retry_seconds = 0.2
longest_retry_seconds = 1

[watch]
check_seconds = 1
hold_seconds = 1

[channels.webhook]
per_minute = {PER_MINUTE}
burst = {BURST}
timeout_seconds = 2

[channels.mail]
per_minute = {PER_MINUTE}
burst = {BURST}
timeout_seconds = 2

[[rules]]
name = "everything"
moments = ["opened", "reopened", "escalated", "acknowledged", "snoozed", "resolved"]
channels = ["topic", "log", "webhook"]

[[rules]]
name = "mail"
severities = ["critical"]
channels = ["mail"]
"""
AT = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)


class DeskUnderTest:
    """The desk's service with receivers of the test's own, a producer for `detections` and an eye on its tables."""

    def __init__(self, stack: Stack, webhook: Webhook, mail: MailServer, engine: Engine) -> None:
        self.stack, self.webhook, self.mail, self.engine = stack, webhook, mail, engine
        settings = load_settings()
        self._producer = KafkaProducer(
            bootstrap_servers=settings.kafka_bootstrap_servers, acks="all", metrics_enabled=False
        )
        self._topic = KafkaConsumer(
            "alerts",
            bootstrap_servers=settings.kafka_bootstrap_servers,
            auto_offset_reset="earliest",
            metrics_enabled=False,
        )
        self.told: list[dict[str, Any]] = []

    def say(self, *findings: Finding | bytes) -> list[tuple[int, int]]:
        """Send to `detections` and wait until Kafka has it; returns partition and offset of each."""
        sent = []
        for one in findings:
            key, value = (b"?", one) if isinstance(one, bytes) else (one.finding_id.encode(), one.to_json())
            sent.append(self._producer.send("detections", key=key, value=value))
        self._producer.flush()
        return [(future.value.partition, future.value.offset) for future in sent]

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(text(query), values)]

    def alerts(self, fingerprint: str) -> list[dict[str, Any]]:
        return self.rows("SELECT * FROM desk.alerts WHERE fingerprint = :f ORDER BY first_seen_at", f=fingerprint)

    def on_topic(self, fingerprint: str) -> list[dict[str, Any]]:
        """The messages so far on the topic `alerts` with this fingerprint."""
        for records in self._topic.poll(timeout_ms=100).values():
            self.told += [json.loads(record.value) for record in records]
        return [one for one in self.told if one.get("fingerprint") == fingerprint]

    def posts(self, fingerprint: str) -> list[tuple[str, str]]:
        """(Idempotency-Key, moment) of the accepted posts about the fingerprint."""
        found = self.webhook.accepted()
        return [(post.key, post.body["moment"]) for post in found if post.body.get("fingerprint") == fingerprint]

    def mails(self, word: str) -> list[str]:
        """Message-IDs of the accepted mails whose subject holds `word`."""
        return [mail["Message-ID"] for mail in self.mail.mails if word in mail["Subject"]]

    def kill(self) -> None:
        """kill -9, and wait until the supervisor has started it again."""
        self.stack.wait_healthy("desk", after_pid=self.stack.kill("desk"))

    def settle(self) -> None:
        """Nothing waits for a channel, none fails or is said to, and every bucket is full."""
        pending = "SELECT 1 FROM desk.deliveries WHERE state = 'pending'"
        failing = "SELECT 1 FROM desk.alerts WHERE kind = 'channel_failing' AND state <> 'resolved'"
        wait_for(lambda: not self.rows(pending) and not self.rows(failing), "nothing pending, no channel failing", 120)
        with self.engine.begin() as connection:
            connection.execute(text(f"UPDATE desk.channels SET tokens = {BURST}"))

    def close(self) -> None:
        self._producer.close()
        self._topic.close()


@pytest.fixture(scope="module")
def desk_service(stack: Stack) -> Iterator[DeskUnderTest]:
    stack("kafka", "postgres")
    webhook, mail = Webhook(), MailServer()
    env_file, rules = stack.home / ".env", stack.home / "alerts.toml"
    rules.write_text(RULES)
    before = env_file.read_text()
    own = {
        "ALERT_RULES": rules, "ALERT_WEBHOOK_URL": webhook.url, "SMTP_SERVER": f"127.0.0.1:{mail.port}",
        "SMTP_SECURITY": "none", "MAIL_FROM": "desk@shop.example", "MAIL_TO": "operator@shop.example",
    }  # fmt: skip
    env_file.write_text(before + "".join(f"GLOBALMART_{name}={value}\n" for name, value in own.items()))
    running = stack.status("desk").pid
    if running:
        stack.wait_healthy("desk", after_pid=stack.kill("desk"))
    stack("kafka", "postgres", "desk")
    engine = connect(load_settings("desk"))
    service = DeskUnderTest(stack, webhook, mail, engine)
    try:
        yield service
    finally:
        env_file.write_text(before)
        service.kill()
        service.close()
        engine.dispose()
        webhook.stop()
        mail.stop()


@pytest.fixture
def desk(desk_service: DeskUnderTest) -> Iterator[DeskUnderTest]:
    desk_service.settle()
    yield desk_service
    desk_service.webhook.good_again()
    desk_service.mail.good_again()


def finding(fingerprint: str, number: int = 0, **changes: Any) -> Finding:
    made = Finding(
        finding_id=finding_id("price_mismatch", fingerprint, str(number)),
        kind="price_mismatch",
        severity="critical",
        fingerprint=fingerprint,
        title=f"Price differs for {fingerprint}",
        detail="12.00 was paid, the catalogue says 21.00",
        event_at=AT + timedelta(seconds=number),
        detected_at=AT + timedelta(seconds=number, milliseconds=7),
        lane="realtime",
        is_anomaly=True,
        event_id=f"event-{number}",
        user_id="U1",
        product_id="P1",
        country="DE",
        evidence={"paid": 12.0, "catalogue": 21.0},
    )
    return replace(made, **changes)


def fresh(name: str) -> str:
    """A fingerprint that no other test has."""
    return f"{name}-{uuid4().hex[:12]}"


def globalmart(*args: str) -> Any:
    """The JSON that `globalmart alerts … --json` prints."""
    command = [sys.executable, "-m", "infra.cli", "alerts", *args, "--json"]
    done = subprocess.run(command, cwd=CHECKOUT, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_finding_reaches_every_channel_as_one_alert(desk: DeskUnderTest) -> None:
    mark = fresh("all")
    told = finding(mark)
    desk.say(told)
    wait_for(lambda: desk.on_topic(mark) and desk.posts(mark) and desk.mails(mark), "a notice on every channel")
    key = f"{told.finding_id}-1"
    [alert] = desk.alerts(mark)
    expected = {
        "notice_id": key, "moment": "opened", "by": "desk", "at": rfc3339(alert["first_seen_at"]), "note": None,
        "alert_id": told.finding_id, "kind": "price_mismatch", "severity": "critical", "fingerprint": mark,
        "title": f"Price differs for {mark}", "detail": "12.00 was paid, the catalogue says 21.00",
        "event_at": "2026-05-04T10:30:00.000Z", "last_event_at": "2026-05-04T10:30:00.000Z",
        "raised_at": "2026-05-04T10:30:00.007Z", "first_seen_at": rfc3339(alert["first_seen_at"]),
        "last_seen_at": rfc3339(alert["first_seen_at"]), "evidence": {"paid": 12.0, "catalogue": 21.0}, "country": "DE",
        "product_id": "P1", "user_id": "U1", "state": "open", "count": 1, "retracted_count": 0, "snoozed_until": None,
        "reason": None, "previous_alert_id": None, "revision": 1,
    }  # fmt: skip
    assert desk.on_topic(mark) == [expected]
    assert [(p.key, p.body) for p in desk.webhook.accepted() if p.body.get("fingerprint") == mark] == [(key, expected)]
    assert desk.mails(mark) == [f"<{key}@shop.example>"]

    def logged() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in log_path(load_settings()).read_text().splitlines()]
        return [line for line in lines if line.get("fingerprint") == mark]

    assert wait_for(logged, "a line in the log") == [expected]


def test_both_lanes_are_one_alert_and_a_retraction_closes_it_with_its_reason(desk: DeskUnderTest) -> None:
    mark = fresh("lanes")
    first, second = finding(mark, 1), finding(mark, 2)
    confirmed = replace(first, lane="durable", verdict="confirmed", evidence={"paid": 12.0, "catalogue_then": 20.0})
    desk.say(first, first)
    wait_for(lambda: [a["count"] for a in desk.alerts(mark)] == [1], "the first finding")  # its id is the alert's
    desk.say(second)
    wait_for(lambda: [a["count"] for a in desk.alerts(mark)] == [2], "both findings")
    desk.say(confirmed, confirmed, first)
    wait_for(lambda: [a["evidence"] for a in desk.alerts(mark)] == [confirmed.evidence], "the confirmation")
    assert [(a["alert_id"], a["count"], a["state"]) for a in desk.alerts(mark)] == [(first.finding_id, 2, "open")]
    desk.say(*(replace(one, verdict="retracted", detail="the price was changed at 10:29") for one in (first, second)))
    wait_for(lambda: len(desk.posts(mark)) == 2, "the notice that it is over")
    assert desk.posts(mark) == [(f"{first.finding_id}-1", "opened"), (f"{first.finding_id}-2", "resolved")]
    [alert] = desk.alerts(mark)
    assert (alert["state"], alert["reason"], alert["count"], alert["retracted_count"]) == (
        "resolved", "the price was changed at 10:29", 0, 2,
    )  # fmt: skip


@pytest.mark.parametrize("trouble", ["down", "error", "slow", "trickle"])
def test_a_webhook_in_trouble_holds_up_nothing_and_gets_everything_later(desk: DeskUnderTest, trouble: str) -> None:
    mark = fresh(f"hook-{trouble}")
    if trouble == "down":
        desk.webhook.stop()
    else:
        desk.webhook.behave(trouble)  # type: ignore[arg-type]
    begin = time.monotonic()
    desk.say(finding(mark))
    wait_for(lambda: desk.on_topic(mark) and desk.mails(mark), "the other channels", 10)
    assert time.monotonic() - begin < 10
    states = "SELECT d.attempts, d.state FROM desk.deliveries d WHERE d.channel = 'webhook' AND d.notice_id = :id"
    key = f"{finding(mark).finding_id}-1"
    wait_for(lambda: desk.rows(states, id=key)[0]["attempts"] >= 2, "two failed attempts", 30)
    assert desk.posts(mark) == []
    desk.webhook.good_again()
    wait_for(lambda: desk.posts(mark), "the notice in the end", 30)
    wait_for(lambda: desk.rows(states, id=key)[0]["state"] == "delivered", "the delivery written down")
    assert desk.posts(mark) == [(key, "opened")]
    assert {p.key for p in desk.webhook.posts if p.body.get("fingerprint") == mark} == {key}


@pytest.mark.parametrize("trouble", ["down", "error", "slow", "trickle"])
def test_a_mail_server_in_trouble_holds_up_nothing_and_gets_everything_later(desk: DeskUnderTest, trouble: str) -> None:
    mark = fresh(f"mail-{trouble}")
    if trouble == "down":
        desk.mail.stop()
    else:
        desk.mail.behave(trouble)  # type: ignore[arg-type]
    desk.say(finding(mark))
    wait_for(lambda: desk.on_topic(mark) and desk.posts(mark), "the other channels", 10)
    key = f"{finding(mark).finding_id}-1"
    tried = "SELECT attempts FROM desk.deliveries WHERE channel = 'mail' AND notice_id = :id"
    wait_for(lambda: desk.rows(tried, id=key)[0]["attempts"] >= 2, "two failed attempts", 30)
    assert desk.mails(mark) == []
    desk.mail.good_again()
    wait_for(lambda: desk.mails(mark), "the mail in the end", 30)
    assert desk.mails(mark) == [f"<{key}@shop.example>"]


@pytest.mark.parametrize("code", [500, 422])
def test_a_notice_that_the_webhook_does_not_take_holds_up_no_other(desk: DeskUnderTest, code: int) -> None:
    odd, others = fresh("odd-one"), fresh("others")
    desk.webhook.refused[odd] = code
    desk.say(finding(odd))
    wait_for(lambda: [p for p in desk.webhook.posts if p.body.get("fingerprint") == odd], "the refusal")
    desk.say(*(finding(f"{others}-{number}") for number in range(5)))
    wait_for(lambda: all(desk.posts(f"{others}-{number}") for number in range(5)), "the others", 30)
    assert desk.posts(odd) == []
    desk.webhook.refused.clear()
    wait_for(lambda: desk.posts(odd), "the notice, once it is taken", 30)


def test_a_failing_channel_is_itself_an_alert_on_the_others(desk: DeskUnderTest) -> None:
    words = ("The channel webhook fails (opened)", "The channel webhook fails (resolved)")
    before = [len(desk.mails(word)) for word in words]
    desk.webhook.behave("error")
    desk.say(finding(fresh("failing")))
    wait_for(lambda: len(desk.mails(words[0])) == before[0] + 1, "a mail about the webhook", 30)
    desk.webhook.good_again()
    wait_for(lambda: len(desk.mails(words[1])) == before[1] + 1, "a mail that it works again", 30)
    assert [len(desk.mails(word)) for word in words] == [before[0] + 1, before[1] + 1]


def test_a_kill_during_a_delivery_loses_nothing_and_keeps_the_key(desk: DeskUnderTest) -> None:
    mark, later = fresh("killed"), fresh("meanwhile")
    desk.webhook.behave("slow")
    desk.say(finding(mark))
    key = f"{finding(mark).finding_id}-1"
    wait_for(lambda: [p for p in desk.webhook.posts if p.key == key], "the request on its way")
    desk.stack.kill("desk")
    desk.say(*(finding(later, number) for number in range(5)))
    desk.webhook.good_again()
    wait_for(lambda: desk.posts(mark) and desk.posts(later), "both notices after the restart", 60)
    requests = [p for p in desk.webhook.posts if p.body.get("fingerprint") == mark]
    assert len(requests) >= 2
    assert [(p.key, p.body) for p in requests] == [(key, requests[0].body)] * len(requests)
    assert [(a["alert_id"], a["count"]) for a in desk.alerts(mark)] == [(finding(mark).finding_id, 1)]
    wait_for(lambda: [a["count"] for a in desk.alerts(later)] == [5], "the findings of the meantime")


def test_kills_during_the_intake_count_every_finding_once(desk: DeskUnderTest) -> None:
    mark = fresh("intake")
    found = [finding(f"{mark}-{number % 50}", number, severity="info") for number in range(3_000)]
    for part in range(3):
        desk.say(*found[part * 1_000 : (part + 1) * 1_000], *found[:500])
        wait_for(lambda: desk.stack.status("desk").pid, "a process to kill")
        desk.stack.kill("desk")
    desk.stack.wait_healthy("desk")
    counted = "SELECT count(*) AS findings FROM desk.findings WHERE fingerprint LIKE :m"
    wait_for(lambda: desk.rows(counted, m=f"{mark}-%") == [{"findings": 3_000}], "all findings", 60)
    summed = "SELECT count(*) AS alerts, sum(count) AS findings FROM desk.alerts WHERE fingerprint LIKE :m"
    assert desk.rows(summed, m=f"{mark}-%") == [{"alerts": 50, "findings": 3_000}]


def test_what_is_no_finding_is_kept_and_holds_up_nothing(desk: DeskUnderTest) -> None:
    mark = fresh("odd")
    bad = [b"not json", b"", b'{"finding_id": "x"}', finding(mark, 1).to_json().replace(b"12.0", b"NaN")]
    desk.say(finding(mark, 0), *bad, finding(mark, 2, title="with \0 inside"), finding(mark, 3))
    wait_for(lambda: [a["count"] for a in desk.alerts(mark)] == [3], "the good ones")
    kept = desk.rows('SELECT value FROM desk.rejected ORDER BY taken_at, partition, "offset"')
    assert {bytes(row["value"]) for row in kept} >= set(bad)


def test_findings_that_retention_took_are_told_of_and_the_desk_goes_on(desk: DeskUnderTest) -> None:
    lost, kept = fresh("lost"), fresh("kept")
    known = desk.rows("SELECT count(*) AS n FROM desk.findings WHERE kind = 'detections_lost'")[0]["n"]
    servers = load_settings().kafka_bootstrap_servers
    desk.stack.stop("desk")
    try:
        desk.say(*(finding(lost, number) for number in range(20)))
        offsets = KafkaConsumer(bootstrap_servers=servers, metrics_enabled=False)
        ends = offsets.end_offsets(
            [TopicPartition("detections", p) for p in offsets.partitions_for_topic("detections")]
        )
        offsets.close()
        admin = KafkaAdminClient(bootstrap_servers=servers)
        admin.delete_records(ends)
        admin.close()
        desk.say(*(finding(kept, number) for number in range(20)))
    finally:
        desk.stack("desk")
    wait_for(lambda: _count(desk, kept) == 20, "what came after")
    assert _count(desk, lost) == 0
    told = desk.rows("SELECT severity FROM desk.findings WHERE kind = 'detections_lost'")
    assert len(told) > known
    assert {one["severity"] for one in told} == {"critical"}


def test_a_storm_of_ten_thousand_gives_few_notices_and_loses_no_alert(desk: DeskUnderTest) -> None:
    kind = fresh("storm")
    before, begin = len(desk.webhook.posts), time.monotonic()
    desk.say(*(finding(f"{kind}-{n}", n, kind=kind, severity="warning") for n in range(10_000)))
    counted = "SELECT count(*) AS alerts, sum(count) AS findings FROM desk.alerts WHERE kind = :k"
    wait_for(lambda: desk.rows(counted, k=kind) == [{"alerts": 10_000, "findings": 10_000}], "all alerts", 180)
    desk.settle()
    posts = desk.webhook.posts[before:]
    seconds = time.monotonic() - begin
    assert len(posts) <= BURST + PER_MINUTE * seconds / 60 + 1
    assert len(posts) < 300
    single = [post for post in posts if post.body.get("kind") == kind]
    digests = [post.body for post in posts if post.body["moment"] == "digest"]
    assert len(single) + sum(digest["by_kind"].get(kind, 0) for digest in digests) == 10_000
    left = """
        SELECT count(*) AS missing FROM desk.notices n JOIN desk.alerts a USING (alert_id) JOIN desk.deliveries d USING (notice_id)
        LEFT JOIN desk.deliveries g ON g.notice_id = d.digest_id
        WHERE a.kind = :k AND NOT (d.state = 'delivered' OR (d.state = 'grouped' AND g.state = 'delivered'))"""
    assert desk.rows(left, k=kind) == [{"missing": 0}]


def test_what_people_did_survives_a_restart(desk: DeskUnderTest) -> None:
    seen, quiet, done = (fresh(name) for name in ("seen", "quiet", "done"))
    desk.say(*(finding(mark) for mark in (seen, quiet, done)))
    wait_for(lambda: all(desk.alerts(mark) for mark in (seen, quiet, done)), "three alerts")
    ids = {mark: desk.alerts(mark)[0]["alert_id"] for mark in (seen, quiet, done)}
    globalmart("acknowledge", ids[seen], "--by", "ana", "--note", "on it")
    globalmart("snooze", ids[quiet], "--by", "ben", "--for", "2h")
    globalmart("resolve", ids[done], "--by", "cem", "--note", "restocked")
    desk.kill()
    desk.say(*(finding(mark, 1) for mark in (seen, quiet, done)))
    wait_for(lambda: all(sum(a["count"] for a in desk.alerts(mark)) == 2 for mark in (seen, quiet, done)), "all again")
    assert [(a["state"], a["changed_by"], a["count"]) for a in desk.alerts(seen)] == [("acknowledged", "ana", 2)]
    assert [(a["state"], a["changed_by"], a["count"]) for a in desk.alerts(quiet)] == [("snoozed", "ben", 2)]
    old, new = desk.alerts(done)
    assert (old["state"], old["changed_by"], old["reason"], old["count"]) == ("resolved", "cem", "restocked", 1)
    assert (new["state"], new["previous_alert_id"], new["count"]) == ("open", old["alert_id"], 1)
    with desk.engine.begin() as connection:  # two hours later
        connection.execute(
            text("UPDATE desk.alerts SET snoozed_until = now() WHERE alert_id = :id"), {"id": ids[quiet]}
        )
    desk.say(finding(quiet, 2))
    wait_for(lambda: [a["state"] for a in desk.alerts(quiet)] == ["open"], "it opens again")
    wait_for(lambda: len(desk.on_topic(quiet)) == 3, "its notices")
    assert [one["moment"] for one in desk.on_topic(quiet)] == ["opened", "snoozed", "reopened"]
    events = globalmart("show", ids[quiet])["events"]
    assert [(event["who"], event["what"]) for event in events] == [
        ("desk", "opened"),
        ("ben", "snoozed"),
        ("desk", "reopened"),
    ]


def test_a_service_that_is_down_is_an_alert_until_it_is_back(desk: DeskUnderTest) -> None:
    stack = desk.stack
    stack("minio")
    known = len(desk.alerts("service_down|minio"))
    stack.stop("minio")
    try:
        wait_for(lambda: len(desk.alerts("service_down|minio")) > known, "the alert", 30)
        alert = desk.alerts("service_down|minio")[-1]
        assert (alert["state"], alert["severity"], alert["title"]) == ("open", "critical", "minio is down")
    finally:
        stack("minio")
    wait_for(lambda: desk.alerts("service_down|minio")[-1]["state"] == "resolved", "its end", 30)


def test_an_outage_of_postgresql_loses_nothing(desk: DeskUnderTest) -> None:
    mark = fresh("outage")
    desk.stack.stop("postgres")
    try:
        desk.say(*(finding(mark, number) for number in range(100)))
        wait_for(lambda: "PostgreSQL" in desk.stack.status("desk").health, "the desk says what it waits for", 30)
    finally:
        desk.stack("postgres")
    desk.engine.dispose()
    wait_for(lambda: _count(desk, mark) == 100, "all findings", 60)
    desk.stack.wait_healthy("desk")


def test_what_postgresql_forgot_in_a_crash_is_read_again(desk: DeskUnderTest) -> None:
    mark, later = fresh("forgotten"), fresh("later")
    [(partition, offset)] = desk.say(finding(mark))
    wait_for(lambda: desk.on_topic(mark) and desk.posts(mark) and desk.mails(mark), "its notices")
    desk.settle()
    with desk.engine.begin() as connection:  # as if its transaction had not reached the disk
        of_alert = {"id": finding(mark).finding_id}
        told = "SELECT notice_id FROM desk.notices WHERE alert_id = :id"
        connection.execute(text(f"DELETE FROM desk.deliveries WHERE notice_id IN ({told})"), of_alert)
        for table in ("notices", "alert_events", "findings", "alerts"):
            connection.execute(text(f"DELETE FROM desk.{table} WHERE alert_id = :id"), of_alert)
        connection.execute(
            text("UPDATE desk.offsets SET next_offset = :offset WHERE partition = :partition"),
            {"offset": offset, "partition": partition},
        )
    desk.say(finding(later))
    wait_for(lambda: len(desk.alerts(mark)) == len(desk.alerts(later)) == 1, "both alerts")
    wait_for(lambda: len(desk.posts(mark)) == 2, "the notice again")
    assert {key for key, _ in desk.posts(mark)} == {f"{finding(mark).finding_id}-1"}


def test_a_crash_of_postgresql_loses_nothing(desk: DeskUnderTest) -> None:
    mark = fresh("crash")
    for part in range(3):
        desk.say(*(finding(f"{mark}-{number % 20}", number) for number in range(part * 500, part * 500 + 500)))
        desk.stack.wait_healthy("postgres", after_pid=desk.stack.kill("postgres"))
    counted = "SELECT count(*) AS alerts, sum(count) AS findings FROM desk.alerts WHERE fingerprint LIKE :m"
    expected = [{"alerts": 20, "findings": 1_500}]
    wait_for(lambda: _after_crash(desk, counted, m=f"{mark}-%") == expected, "all findings", 60)


def _after_crash(desk: DeskUnderTest, query: str, **values: Any) -> list[dict[str, Any]] | None:
    """None where the test's own connection broke with the server."""
    try:
        return desk.rows(query, **values)
    except OperationalError:
        return None


def _count(desk: DeskUnderTest, mark: str) -> int:
    return sum(alert["count"] for alert in desk.alerts(mark))


def test_migrations_give_the_tables_of_the_code_however_often_they_run(desk: DeskUnderTest) -> None:
    migrate(desk.engine)
    options = {
        "include_schemas": True,
        "include_name": lambda name, kind, _parents: kind != "schema" or name == SCHEMA,
        "include_object": lambda _object, name, _kind, _reflected, _other: name != "alembic_version",
    }
    with desk.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def test_the_desk_writes_its_own_schema_and_reads_no_other_service_s_tables(desk: DeskUnderTest) -> None:
    for name in ("public", "streaming", "serving"):
        allowed = "SELECT has_schema_privilege('desk', :name, 'CREATE') AS may"
        assert desk.rows(allowed, name=name) == [{"may": False}]


def test_no_ledger_is_no_lag(desk: DeskUnderTest, file_settings: Settings) -> None:
    from api.desk.rules import Watch

    settings = load_settings("desk", lake_uri=file_settings.lake_uri)
    assert Lag(settings, Watch(), RecentLedger(settings)).conditions(AT) == []
