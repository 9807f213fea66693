"""Which channels lead somewhere by the settings, and how each is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from api.desk.channels.base import Channel
from api.desk.channels.log import LogChannel
from api.desk.channels.mail import MailChannel
from api.desk.channels.topic import TopicChannel
from api.desk.channels.webhook import WebhookChannel
from api.desk.errors import AlertRulesError
from api.desk.model import ChannelName
from api.desk.rules import AlertRules
from lakehouse.settings import Settings


def log_path(settings: Settings) -> Path:
    return settings.state_dir / "logs" / "alerts.jsonl"


def ways(settings: Settings, rules: AlertRules) -> dict[ChannelName, Callable[[], Channel]]:
    """Per channel that has an address, how to make it. Raises AlertRulesError where an address is half said."""
    url = settings.alert_webhook_url.get_secret_value()
    timeout = {name: rules.channels.of(name).timeout_seconds for name in ("topic", "webhook", "mail")}
    made: dict[ChannelName, Callable[[], Channel]] = {
        "topic": lambda: TopicChannel(settings, timeout["topic"]),
        "log": lambda: LogChannel(log_path(settings)),
    }
    if url:
        if not url.startswith(("http://", "https://")):
            raise AlertRulesError("GLOBALMART_ALERT_WEBHOOK_URL does not begin with http:// or https://.")
        made["webhook"] = lambda: WebhookChannel(url, timeout["webhook"])
    if settings.smtp_server:
        host, _, port = settings.smtp_server.rpartition(":")
        if not (host and port.isdigit()):
            raise AlertRulesError(f"GLOBALMART_SMTP_SERVER={settings.smtp_server} is not host:port.")
        if not (settings.mail_from and settings.mail_to):
            raise AlertRulesError(
                "GLOBALMART_SMTP_SERVER is set, so GLOBALMART_MAIL_FROM and GLOBALMART_MAIL_TO must be, too."
            )
        made["mail"] = lambda: MailChannel(settings, timeout["mail"])
    return made
