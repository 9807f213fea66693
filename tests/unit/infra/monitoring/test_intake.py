"""A notice of Alertmanager becomes findings, once per alert; what is no notice, or has no token, becomes none."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from infra.monitoring.intake import UnreadableNoticeError, findings, kind_of
from infra.monitoring.web import Application
from lakehouse.errors import KafkaError
from lakehouse.findings import Finding

NOW = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)


def notice(**changes: Any) -> bytes:
    alert = {
        "status": "firing",
        "labels": {"alertname": "DiskFull", "severity": "critical", "job": "monitor"},
        "annotations": {
            "summary": "The disk is nearly full",
            "description": "1GiB is free.",
            "runbook": "docs/runbook.md#diskfull",
        },
        "startsAt": "2026-05-04T10:29:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": "ab12",
    } | changes
    return json.dumps({"version": "4", "status": alert["status"], "alerts": [alert]}).encode()


def test_an_alert_is_a_finding_with_its_words_and_its_runbook() -> None:
    (found,) = findings(notice(), NOW)
    assert found == Finding(
        finding_id=found.finding_id,
        kind="platform_disk_full",
        severity="critical",
        fingerprint="platform_disk_full|monitor",
        title="The disk is nearly full",
        detail="1GiB is free. Runbook: docs/runbook.md#diskfull",
        event_at=datetime(2026, 5, 4, 10, 29, tzinfo=UTC),
        detected_at=NOW,
        evidence={"labels": {"job": "monitor"}, "runbook": "docs/runbook.md#diskfull"},
    )


def test_a_repeated_notice_is_the_same_finding_and_a_resolved_one_takes_it_back() -> None:
    (first,), (again,) = findings(notice(), NOW), findings(notice(), NOW)
    (over,) = findings(notice(status="resolved"), NOW)
    assert first.finding_id == again.finding_id == over.finding_id
    assert (first.verdict, over.verdict) == ("raised", "retracted")
    (later,) = findings(notice(startsAt="2026-05-04T12:00:00Z"), NOW)
    assert later.finding_id != first.finding_id
    assert later.fingerprint == first.fingerprint


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"alerts": [{}]}', notice(status="maybe"), notice(startsAt="soon"), b"\xff"]
)
def test_what_is_no_notice_is_refused_in_a_sentence(body: bytes) -> None:
    with pytest.raises(UnreadableNoticeError, match=r"^This is no notice of Alertmanager: .*\.$"):
        findings(body, NOW)


def test_kinds_are_the_alerts_names_in_the_houses_spelling() -> None:
    assert kind_of("ApiErrors") == "platform_api_errors"


class Caller:
    """Asks the application without a socket; `told` is what reached the desk."""

    def __init__(self, error: Exception | None = None) -> None:
        self.told: list[Finding] = []
        self._error = error
        self._application = Application(CollectorRegistry(), "secret", self._tell)

    def _tell(self, found: list[Finding]) -> None:
        if self._error:
            raise self._error
        self.told += found

    def __call__(self, method: str, path: str, body: bytes = b"", **more: str) -> int:
        said: list[str] = []
        environ = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body),
            "QUERY_STRING": "", **more,
        }  # fmt: skip
        list(self._application(environ, lambda status, *_: said.append(status)))
        return int(said[0].split()[0])


def test_whoever_has_the_token_may_tell() -> None:
    ask = Caller()
    assert ask("POST", "/alerts", notice(), HTTP_AUTHORIZATION="Bearer secret") == 200
    assert [found.kind for found in ask.told] == ["platform_disk_full"]


@pytest.mark.parametrize("token", ["", "Bearer wrong", "secret", "Bearer sécret"])
def test_nobody_else_may(token: str) -> None:
    ask = Caller()
    assert ask("POST", "/alerts", notice(), HTTP_AUTHORIZATION=token) == 401
    assert ask.told == []


def test_bad_input_has_its_status() -> None:
    ask = Caller()
    with_token = {"HTTP_AUTHORIZATION": "Bearer secret"}
    assert ask("POST", "/alerts", b"{}", **with_token) == 400
    assert ask("POST", "/alerts", b"{}", **with_token, CONTENT_LENGTH="99999999") == 413
    assert ask("POST", "/alerts", b"{}", **with_token, CONTENT_LENGTH="") == 413
    assert ask("GET", "/alerts", **with_token) == 404
    assert ask("GET", "/metrics") == 200
    assert ask.told == []


def test_while_kafka_is_away_alertmanager_is_asked_to_come_again() -> None:
    assert Caller(KafkaError("away"))("POST", "/alerts", notice(), HTTP_AUTHORIZATION="Bearer secret") == 503
