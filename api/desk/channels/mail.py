"""Notices by mail (SMTP)."""

from __future__ import annotations

import smtplib
import socket
import threading
from contextlib import suppress
from email.message import EmailMessage
from typing import Any

import orjson

from api.desk.channels.base import ChannelDownError, NoticeRefusedError
from lakehouse.settings import Settings

_FIELDS = (
    "detail",
    "kind",
    "severity",
    "state",
    "count",
    "country",
    "event_at",
    "raised_at",
    "by",
    "note",
    "reason",
    "alert_id",
)


class MailChannel:
    """One connection per mail. The Message-ID is made of the notice's id, so that a repeat can be known."""

    def __init__(self, settings: Settings, timeout_seconds: float) -> None:
        self._settings = settings
        self._timeout = timeout_seconds

    def send(self, message: dict[str, Any]) -> None:
        mail = compose(message, self._settings.mail_from, self._settings.mail_to)
        kind = smtplib.SMTP_SSL if self._settings.smtp_security == "tls" else smtplib.SMTP
        client = kind(timeout=self._timeout)
        # smtplib's own limit is for each read; a server that trickles its answer would hold it for ever.
        alarm = threading.Timer(self._timeout, _hang_up, [client])
        alarm.start()
        try:
            self._send(client, mail)
        except smtplib.SMTPAuthenticationError as error:
            raise ChannelDownError(f"the mail server refuses the account ({error.smtp_code})") from None
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            _raise_refusal(error)
        except (smtplib.SMTPException, OSError) as error:
            raise ChannelDownError(f"the mail server did not take it ({type(error).__name__})") from None
        finally:
            alarm.cancel()
            client.close()

    def _send(self, client: smtplib.SMTP, mail: EmailMessage) -> None:
        host, _, port = self._settings.smtp_server.rpartition(":")
        client._host = host  # type: ignore[attr-defined] # what the certificate is checked against
        client.connect(host, int(port))
        if self._settings.smtp_security == "starttls":
            client.starttls()
        if self._settings.smtp_user:
            client.login(self._settings.smtp_user, self._settings.smtp_password.get_secret_value())
        client.send_message(mail)
        # The server has it: what it answers to the farewell changes nothing.
        with suppress(smtplib.SMTPException, OSError):
            client.quit()

    def close(self) -> None:
        """Nothing is held between two mails."""


def _hang_up(client: smtplib.SMTP) -> None:
    if client.sock is not None:
        with suppress(OSError):
            client.sock.shutdown(socket.SHUT_RDWR)


def _raise_refusal(error: smtplib.SMTPRecipientsRefused | smtplib.SMTPResponseException) -> None:
    """4xx means: later; 5xx: not this mail."""
    codes = (
        [answer[0] for answer in error.recipients.values()]
        if isinstance(error, smtplib.SMTPRecipientsRefused)
        else [error.smtp_code]
    )
    words = f"the mail server answered {codes[0]}"
    if all(code < 500 for code in codes):
        raise ChannelDownError(words) from None
    raise NoticeRefusedError(words) from None


def compose(message: dict[str, Any], sender: str, receivers: str) -> EmailMessage:
    """The mail of a notice. Control characters in a title, which would forge headers, become blanks."""
    title = "".join(sign if sign.isprintable() else " " for sign in str(message["title"]))
    mail = EmailMessage()
    mail["Subject"] = f"[{message['severity']}] {title} ({message['moment']})"
    mail["From"] = sender
    mail["To"] = receivers
    mail["Message-ID"] = f"<{message['notice_id']}@{sender.rpartition('@')[2] or 'globalmart'}>"
    mail["X-GlobalMart-Notice"] = str(message["notice_id"])
    lines = [f"{name.replace('_', ' ')}: {message[name]}" for name in _FIELDS if message.get(name) is not None]
    evidence = orjson.dumps(message.get("evidence") or {}, option=orjson.OPT_INDENT_2).decode()
    mail.set_content("\n".join([title, "", *lines, "", "evidence:", evidence, ""]))
    return mail
