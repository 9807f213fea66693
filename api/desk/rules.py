"""The rules file of the alert desk (TOML): what is grouped, who is told of what, how often, and what the desk watches itself."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.desk.errors import AlertRulesError
from api.desk.model import Alert, ChannelName, Moment
from lakehouse.findings import Severity

_EVERY_SEVERITY: tuple[Severity, ...] = ("info", "warning", "critical")
_TOLD: tuple[Moment, ...] = ("opened", "reopened", "escalated", "resolved")
Country = Literal["US", "GB", "DE", "IN", "BR"]
Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class _Section(BaseModel):
    """A word that nobody reads is a mistake, so it is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Grouping(_Section):
    """`window_minutes` for all kinds; `by_kind` for some, its keys are patterns, of which the first that fits counts.

    `all_clear`: kinds that say that it is over. They resolve the alert of their fingerprint and never open one.
    """

    window_minutes: Positive = 60
    by_kind: dict[str, Positive] = Field(default_factory=dict)
    all_clear: tuple[str, ...] = ("back_in_stock", "run_recovered", "check_recovered")

    def window(self, kind: str) -> timedelta:
        for pattern, minutes in self.by_kind.items():
            if fnmatchcase(kind, pattern):
                return timedelta(minutes=minutes)
        return timedelta(minutes=self.window_minutes)


class Delivery(_Section):
    """Retries: the wait doubles from `first_retry_seconds` to `longest_retry_seconds`, until `give_up_hours` have passed."""

    first_retry_seconds: Positive = 1
    longest_retry_seconds: Positive = 300
    give_up_hours: Positive = 72


class Channel(_Section):
    """At most `burst` notices at once and `per_minute` from then on; one attempt takes `timeout_seconds` at most."""

    per_minute: Positive
    burst: Annotated[int, Field(ge=2)]
    timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 5


class Channels(_Section):
    """The four ways out. Where they lead is a setting of the environment, not of this file."""

    topic: Channel = Channel(per_minute=1200, burst=600)
    log: Channel = Channel(per_minute=1200, burst=600)
    webhook: Channel = Channel(per_minute=30, burst=10)
    mail: Channel = Channel(per_minute=4, burst=5, timeout_seconds=15)

    def of(self, name: ChannelName) -> Channel:
        channel: Channel = getattr(self, name)
        return channel


class Rule(_Section):
    """Sends the notices it fits to `channels`. All rules that fit count; after one with `is_last` no other is looked at.

    `kinds` are patterns with `*`. With `countries`, an alert about no country does not fit.
    """

    name: str
    kinds: tuple[str, ...] = ("*",)
    severities: tuple[Severity, ...] = _EVERY_SEVERITY
    countries: tuple[Country, ...] = ()
    moments: tuple[Moment, ...] = _TOLD
    channels: tuple[ChannelName, ...] = ()
    is_last: bool = False

    def fits(self, alert: Alert, moment: Moment) -> bool:
        return (
            moment in self.moments
            and alert.severity in self.severities
            and (not self.countries or alert.country in self.countries)
            and any(fnmatchcase(alert.kind, pattern) for pattern in self.kinds)
        )


class Watch(_Section):
    """What the desk looks at itself. A condition is told of once it has lasted `hold_seconds`, and over after as long."""

    check_seconds: Positive = 10
    hold_seconds: Annotated[float, Field(ge=0)] = 20
    restart_count: Annotated[int, Field(ge=1)] = 3
    restart_minutes: Positive = 10
    lag_records: Annotated[int, Field(ge=1)] = 300_000
    stalled_seconds: Positive = 120
    quality_minutes: Positive = 5
    quality_least_records: Annotated[int, Field(ge=1)] = 500
    bad_share_warning: Share = 0.05
    bad_share_critical: Share = 0.25


class AlertRules(_Section):
    """The whole file; an empty one says the defaults, with nobody told of anything."""

    grouping: Grouping = Grouping()
    delivery: Delivery = Delivery()
    channels: Channels = Channels()
    watch: Watch = Watch()
    rules: tuple[Rule, ...] = ()

    def routes(self, alert: Alert, moment: Moment) -> list[ChannelName]:
        """The channels that a notice goes to, each once."""
        found: dict[ChannelName, None] = {}
        for rule in self.rules:
            if rule.fits(alert, moment):
                found |= dict.fromkeys(rule.channels)
                if rule.is_last:
                    break
        return list(found)


def load_rules(path: Path) -> AlertRules:
    """Read the rules file. Raises AlertRulesError naming the file and the place in it."""
    try:
        return AlertRules.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise AlertRulesError(
            f"The alert rules {path} cannot be read ({error}): put right GLOBALMART_ALERT_RULES."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise AlertRulesError(f"The alert rules {path} are not TOML: {error}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise AlertRulesError(f"The alert rules {path} are wrong at {_place(first['loc'])}: {first['msg']}.") from None


def _place(loc: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in loc)
