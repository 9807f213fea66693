"""A condition: something that is wrong for as long as it lasts. Sources say what is wrong now; the watch makes findings of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from lakehouse.findings import Severity


@dataclass(frozen=True)
class Condition:
    """`subject` is what it is about; `kind` and `subject` are the fingerprint. Two severities are two conditions."""

    kind: str
    subject: str
    severity: Severity
    title: str
    detail: str
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        return f"{self.kind}|{self.subject}"


class Source(Protocol):
    """One thing to look at."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """All that it can say; no other source says them."""

    def conditions(self, now: datetime) -> list[Condition]:
        """What is wrong now. Raises one of `watch.UNKNOWABLE` where it cannot be known: then nothing changes."""
