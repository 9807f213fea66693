"""What the alert desk refuses, each as one sentence for people."""

from __future__ import annotations

from lakehouse.errors import GlobalMartError


class AlertRulesError(GlobalMartError):
    """The rules file cannot be read or says something that makes no sense."""


class UnknownAlertError(GlobalMartError):
    """No alert, or more than one, has the id that was given."""


class AlertStateError(GlobalMartError):
    """What was asked for does not fit the alert's state."""


class DeskDatabaseError(GlobalMartError):
    """PostgreSQL does not answer, or has no desk yet."""


class OffsetsRewoundError(GlobalMartError):
    """PostgreSQL holds lower offsets than it did: a crash took its last moment. What it forgot is read again."""


class UnreadableFindingError(GlobalMartError):
    """A message on `detections` is not a finding; the message says why."""
