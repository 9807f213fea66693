"""`globalmart keys`: issue, list, revoke, expire, audit. Wording and exit codes only."""

from __future__ import annotations

import getpass
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from api.access import Access, Role
from api.audit import Audit, What, lines
from api.keys.database import KeyStoreError, connect
from api.keys.model import Key
from api.keys.store import Store
from lakehouse.countries import COUNTRIES
from lakehouse.errors import SettingsError
from lakehouse.findings import rfc3339
from lakehouse.settings import load_settings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Keys of the REST API and the web pages: who may see and do what.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[str, typer.Argument(metavar="KEY_ID", help="Its id, as `list` shows it; never the key itself.")]
By = Annotated[str, typer.Option(help="Who says so.", show_default="you", default_factory=getpass.getuser)]
Expires = Annotated[str, typer.Option("--expires", metavar="WHEN", help="12h, 90d, 2027-01-31T00:00Z, or never.")]
_SPAN = re.compile(r"(\d{1,5})([hd])")
_COUNTRIES = ", ".join(COUNTRIES)


@contextmanager
def _store() -> Iterator[Store]:
    """The tables, with the operator's account from the stack's secrets. Raises KeyStoreError."""
    engine = connect(load_settings("operator"))
    if engine is None:
        raise KeyStoreError("GLOBALMART_POSTGRES_URL is not set: `globalmart up` makes the operator's account.")
    try:
        yield Store(engine)
    finally:
        engine.dispose()


@app.command(epilog="Example: globalmart keys issue 'Berlin team' --role analyst --country DE --expires 90d")
def issue(
    name: Annotated[str, typer.Argument(help="Whom or what it is for.")],
    by: By,
    role: Annotated[
        str, typer.Option(help=f"{', '.join(one.name for one in Role)}; each may what those before it may.")
    ] = "viewer",
    country: Annotated[
        list[str] | None,
        typer.Option(metavar="COUNTRY", help=f"Sees rows of this one only ({_COUNTRIES}); may be repeated."),
    ] = None,
    personal: Annotated[bool, typer.Option("--personal", help="Sees user ids and e-mail addresses.")] = False,
    expires: Expires = "365d",
    as_json: Json = False,
) -> None:
    """Make a key. It is shown this once; what is kept is its SHA-256."""
    now = datetime.now(UTC)
    if role not in Role.__members__:
        raise SettingsError(f"There is no role {role!r}: the roles are {', '.join(Role.__members__)}.")
    unknown = sorted(set(country or ()) - set(COUNTRIES))
    if unknown:
        raise SettingsError(f"There is no country {', '.join(unknown)}: the countries are {_COUNTRIES}.")
    if not name.strip():
        raise SettingsError("A key needs a name that says whom it is for.")
    access = Access("", name.strip(), Role[role], frozenset(country) if country else None, personal)
    with _store() as store:
        key, text = store.issue(access, by, now, end_of(expires, now))
    _note("key_issued", key, by)
    if as_json:
        _print_json({**_plain(key, now), "key": text})
        return
    _out().print(f"{text}", markup=False, soft_wrap=True)
    print(f"Key {key.key_id}: {_rights(key)}, {_end(key)}. It is not shown again.", file=sys.stderr)


@app.command("list", epilog="Example: globalmart keys list --all --json")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Revoked and expired ones too.")] = False,
    as_json: Json = False,
) -> None:
    """Show keys, oldest first: their rights, their end, and when they were last used."""
    now = datetime.now(UTC)
    with _store() as store:
        keys = [key for key in store.all() if everything or key.state(now) == "valid"]
    if as_json:
        _print_json([_plain(key, now) for key in keys])
        return
    table = Table(box=None, pad_edge=False)
    for title in ("key", "name", "rights", "state", "until (UTC)", "last used (UTC)"):
        table.add_column(title, no_wrap=title == "key")
    for key in keys:
        table.add_row(
            key.key_id, escape(key.name), _rights(key), key.state(now), _minute(key.expires_at, "for ever"),
            _minute(key.last_used_at, "never"),
        )  # fmt: skip
    _out().print(table)


@app.command(epilog="Example: globalmart keys revoke 3f9a2c41b07d")
def revoke(key_id: Id, by: By, as_json: Json = False) -> None:
    """Refuse a key from now on, and the web sessions that it signed in; the API knows within two seconds."""
    with _store() as store:
        key = store.revoke(key_id, by, datetime.now(UTC))
    _note("key_revoked", key, by)
    _changed(key, f"Key {key.key_id} ({key.name}) was revoked at {_minute(key.revoked_at, '')} UTC.", as_json)


@app.command(epilog="Example: globalmart keys expire 3f9a2c41b07d --expires 12h")
def expire(key_id: Id, expires: Expires, by: By, as_json: Json = False) -> None:
    """Give a key another end."""
    with _store() as store:
        key = store.expire(key_id, end_of(expires, datetime.now(UTC)))
    _note("key_end_changed", key, by)
    _changed(key, f"Key {key.key_id} ({key.name}) is good {_end(key)}.", as_json)


@app.command(epilog="Example: globalmart keys audit --key 3f9a2c41b07d --days 7 --json")
def audit(
    key: Annotated[str, typer.Option(metavar="KEY_ID", help="Only what this key did.")] = "",
    days: Annotated[int, typer.Option(min=1, help="So many days back, today included.")] = 1,
    as_json: Json = False,
) -> None:
    """Show who read personal data, changed something or signed in, oldest first."""
    found = [line for line in lines(load_settings(), days, datetime.now(UTC)) if not key or line.get("key_id") == key]
    if as_json:
        _print_json(found)
        return
    table = Table("at (UTC)", "what", "key", "name", "request", "by", box=None, pad_edge=False)
    for line in found:
        request = " ".join(str(line[name]) for name in ("method", "path", "query") if line.get(name))
        by = line.get("by") or line.get("client")
        values = (line["at"][:19], line["what"], line["key_id"], line["key_name"], request, by)
        table.add_row(*(escape(str(value or "-")) for value in values))
    _out().print(table)


def end_of(words: str, now: datetime) -> datetime | None:
    """The moment that `--expires` means; None for never. Raises SettingsError for anything else, and for the past."""
    if words == "never":
        return None
    span = _SPAN.fullmatch(words)
    try:
        if span:
            end = now + timedelta(**{{"h": "hours", "d": "days"}[span[2]]: int(span[1])})
        else:
            end = datetime.fromisoformat(words)
            end = end.replace(tzinfo=UTC) if end.tzinfo is None else end.astimezone(UTC)
    except (ValueError, OverflowError):
        raise SettingsError(f"{words!r} is no time: write 12h, 90d, 2027-01-31T00:00Z, or never.") from None
    if end <= now:
        raise SettingsError(f"{end:%Y-%m-%d %H:%M} UTC is not in the future; `globalmart keys revoke` ends a key now.")
    return end


def _rights(key: Key) -> str:
    where = "all countries" if key.countries is None else ", ".join(sorted(key.countries))
    return f"{key.role.name}, {where}{', personal data' if key.sees_personal else ''}"


def _end(key: Key) -> str:
    return "for ever" if key.expires_at is None else f"until {_minute(key.expires_at, '')} UTC"


def _minute(moment: datetime | None, without: str) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" if moment else without


def _plain(key: Key, now: datetime) -> dict[str, Any]:
    """All that may be told of a key, its hash left out."""
    shown = {name: value for name, value in vars(key).items() if name != "sha256"}
    countries = sorted(key.countries) if key.countries is not None else None
    return {**shown, "role": key.role.name, "countries": countries, "state": key.state(now)}


def _note(what: What, key: Key, by: str) -> None:
    """Into the audit log, beside what the API writes there."""
    Audit(load_settings()).write(what=what, key_id=key.key_id, key_name=key.name, by=by, rights=_rights(key))


def _changed(key: Key, words: str, as_json: bool) -> None:
    if as_json:
        _print_json(_plain(key, datetime.now(UTC)))
    else:
        _out().print(words, markup=False, soft_wrap=True)


def _print_json(value: Any) -> None:
    print(orjson.dumps(value, default=_text, option=orjson.OPT_INDENT_2 | orjson.OPT_PASSTHROUGH_DATETIME).decode())


def _text(value: Any) -> str:
    return rfc3339(value) if isinstance(value, datetime) else str(value)


def _out() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)
