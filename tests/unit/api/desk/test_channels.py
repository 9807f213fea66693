"""What the channels write: mails that cannot be forged, a log that is cut into files, addresses that are checked."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api.desk.channels.base import ChannelDownError
from api.desk.channels.log import LogChannel
from api.desk.channels.mail import compose
from api.desk.channels.ways import ways
from api.desk.errors import AlertRulesError
from api.desk.rules import AlertRules
from lakehouse.settings import Settings

MESSAGE: dict[str, Any] = {
    "notice_id": "abc-1", "moment": "opened", "severity": "critical", "title": "Price differs", "detail": "12 for 21",
    "kind": "price_mismatch", "state": "open", "count": 1, "country": None, "alert_id": "abc", "evidence": {"paid": 12.0},
}  # fmt: skip


def test_a_mail_says_what_the_notice_says() -> None:
    mail = compose(MESSAGE, "desk@shop.example", "ana@shop.example, ben@shop.example")
    assert dict(mail.items()) | {"Content-Type": "", "Content-Transfer-Encoding": "", "MIME-Version": ""} == {
        "Subject": "[critical] Price differs (opened)", "From": "desk@shop.example", "To": "ana@shop.example, ben@shop.example",
        "Message-ID": "<abc-1@shop.example>", "X-GlobalMart-Notice": "abc-1",
        "Content-Type": "", "Content-Transfer-Encoding": "", "MIME-Version": "",
    }  # fmt: skip
    assert mail.get_content().splitlines() == [
        "Price differs", "", "detail: 12 for 21", "kind: price_mismatch", "severity: critical", "state: open", "count: 1",
        "alert id: abc", "", "evidence:", "{", '  "paid": 12.0', "}",
    ]  # fmt: skip


def test_a_title_with_line_breaks_forges_no_header() -> None:
    mail = compose({**MESSAGE, "title": "x\r\nBcc: thief@example.com\n\nbody"}, "desk@shop.example", "ana@shop.example")
    assert mail["Bcc"] is None
    assert mail["Subject"] == "[critical] x  Bcc: thief@example.com  body (opened)"


def test_the_log_is_cut_into_files_and_three_old_ones_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "alerts.jsonl"
    log = LogChannel(path, most_bytes=1)
    for number in range(6):
        log.send({"number": number})
    files = {file.name: json.loads(file.read_text())["number"] for file in path.parent.iterdir()}
    assert files == {"alerts.jsonl": 5, "alerts.jsonl.1": 4, "alerts.jsonl.2": 3, "alerts.jsonl.3": 2}


def test_a_log_that_cannot_be_written_is_a_channel_that_is_down(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file in place of the folder")
    with pytest.raises(ChannelDownError, match="cannot be written"):
        LogChannel(tmp_path / "logs" / "alerts.jsonl").send(MESSAGE)


def test_only_what_has_an_address_is_a_way() -> None:
    everything = {
        "alert_webhook_url": "https://example.com/x", "smtp_server": "127.0.0.1:25", "mail_from": "a@b.c", "mail_to": "d@e.f",
    }  # fmt: skip
    assert list(ways(Settings(_env_file=None), AlertRules())) == ["topic", "log"]
    assert list(ways(Settings(_env_file=None, **everything), AlertRules())) == ["topic", "log", "webhook", "mail"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"alert_webhook_url": "ftp://x"}, "GLOBALMART_ALERT_WEBHOOK_URL does not begin with http:// or https://."),
        ({"smtp_server": "mail"}, "GLOBALMART_SMTP_SERVER=mail is not host:port."),
        (
            {"smtp_server": "mail:25", "mail_from": "a@b.c"},
            "GLOBALMART_SMTP_SERVER is set, so GLOBALMART_MAIL_FROM and ",
        ),
    ],
)
def test_an_address_half_said_is_one_sentence(settings: dict[str, str], words: str) -> None:
    with pytest.raises(AlertRulesError) as error:
        ways(Settings(_env_file=None, **settings), AlertRules())
    assert str(error.value).startswith(words)


def test_the_message_of_a_change_has_times_of_the_platform_s_form() -> None:
    from api.desk.notices import rfc3339

    assert rfc3339(datetime(2026, 5, 4, 10, 0, 0, 7000, tzinfo=UTC)) == "2026-05-04T10:00:00.007Z"
