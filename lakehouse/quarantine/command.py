"""`globalmart quarantine`: options, wording and exit codes only."""

from __future__ import annotations

import getpass
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from lakehouse.errors import GlobalMartError
from lakehouse.quarantine import show
from lakehouse.quarantine.desk import Author, Choice, apply_repair, replay_positions, try_repair
from lakehouse.quarantine.desk import discard as discard_records
from lakehouse.quarantine.desk import replay as replay_decided
from lakehouse.quarantine.document import read_value
from lakehouse.quarantine.lake import Filters, QuarantineLake
from lakehouse.quarantine.listing import By, listing
from lakehouse.quarantine.positions import Position
from lakehouse.quarantine.replay import Replayed, wait_for_outcomes
from lakehouse.quarantine.rules import RULES, Change, parse_rules
from lakehouse.quarantine.store import Store
from lakehouse.quarantine.trace import trace
from lakehouse.quarantine.words import read_time
from lakehouse.settings import Settings, load_settings

app = typer.Typer(
    name="quarantine",
    help="Bad records: look at them, repair and replay them, or discard them. Nothing is ever taken out of silver/quarantine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Example: globalmart quarantine repair --reason number_as_text.quantity --rule number:quantity",
)

Reason = Annotated[
    str | None, typer.Option(help="Only records that break this rule (`missing.user_id`) or kind of rule (`missing`).")
]
Topic = Annotated[str | None, typer.Option(help="Only records of this topic.")]
Since = Annotated[
    str | None, typer.Option(help="Only records from this Kafka time on, or this young: 2026-03-14T09:30Z, 24h, 7d.")
]
Until = Annotated[str | None, typer.Option(help="Only records before this Kafka time, or older than this.")]
Positions = Annotated[
    list[str] | None,
    typer.Option("--position", metavar="TOPIC/PARTITION/OFFSET", help="Only this record; may be repeated."),
]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many records, lowest positions first.")]
Again = Annotated[bool, typer.Option("--again", help="Also records that were decided about before.")]
By_ = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decides; the login name if not said.")]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait until the stream has taken what was replayed.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class ChoiceError(GlobalMartError):
    """The options do not say which records are meant, or what to do with them."""


@app.command("list", epilog="Example: globalmart quarantine list --since 24h --by hour --limit 1")
def list_(
    reason: Reason = None,
    topic: Topic = None,
    since: Since = None,
    until: Until = None,
    by: Annotated[
        By, typer.Option(help="Group by reason and topic alone, or by hour or day of Kafka time too.")
    ] = "reason",
    limit: Annotated[int, typer.Option(min=0, help="Examples shown of each group, newest first.")] = 1,
    as_json: Json = False,
) -> None:
    """Count bad records by reason, topic and time, say what was decided about them, and show examples with their raw bytes."""
    settings = load_settings("operator")
    filters = _filters(reason, topic, since, until, None, datetime.now(UTC))
    found = listing(QuarantineLake(settings), filters, Store(settings).states(), by, limit)
    show.listing(found, as_json)


@app.command("show", epilog="Example: globalmart quarantine show cart_events/2/1041")
def show_(
    position: Annotated[
        str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="Any record in the lake, bad or good.")
    ],
    as_json: Json = False,
) -> None:
    """Show everything about one record: raw bytes, reasons, decisions, where its replay ended, or what it is a replay of."""
    place = Position.parse(position)
    settings = load_settings("operator")
    show.trace(trace(QuarantineLake(settings), Store(settings), place), as_json)


@app.command(
    epilog="Example: globalmart quarantine repair --reason missing.user_id --rule rename:usr_id=user_id --apply --why 'app 7.2 sent usr_id'"
    "\n\nRules: " + "; ".join(f"{name}{':' if form else ''}{form} ({what})" for name, (form, what) in RULES.items())
)
def repair(
    reason: Reason = None,
    topic: Topic = None,
    since: Since = None,
    until: Until = None,
    position: Positions = None,
    limit: Limit = None,
    again: Again = False,
    rule: Annotated[list[str] | None, typer.Option(help="A repair rule; may be repeated, applied in order.")] = None,
    rules_file: Annotated[Path | None, typer.Option(help='A TOML file with `rules = ["…", …]`.')] = None,
    patch: Annotated[
        Path | None, typer.Option(help="A JSON merge patch (RFC 7396) for the one record of --position.")
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Put the decision on record and replay; without it nothing is written.")
    ] = False,
    why: Annotated[str, typer.Option(help="The reason for the repair, for the books.")] = "",
    by: By_ = None,
    wait: Wait = 30,
    examples: Annotated[int, typer.Option(min=0, help="Records shown before and after.")] = 3,
    as_json: Json = False,
) -> None:
    """Try a repair on quarantined records and say how many it recovers; with --apply, replay these through the same pipeline."""
    now = datetime.now(UTC)
    filters = _filters(reason, topic, since, until, position, now)
    change = _change(rule, rules_file, patch, filters)
    if not filters.as_dict() and limit is None:
        raise ChoiceError("Say which records are meant: --reason, --topic, --since, --until, --position or --limit.")
    settings = load_settings("operator")
    store = Store(settings)
    choice = Choice(filters, limit, again)
    if not apply:
        tried = try_repair(settings, store, choice, change, now)
        show.dry_run(tried, change, examples, as_json)
        return
    tried, decision, replayed = apply_repair(settings, store, choice, change, Author(_name(by), now, why))
    outcomes = wait_for_outcomes(settings, replay_positions(replayed), wait)
    show.applied(tried, change, examples, decision, replayed, outcomes, as_json)


@app.command(
    epilog="Example: globalmart quarantine discard --topic product_views --reason not_json --why 'load test of 14 March'"
)
def discard(
    why: Annotated[str, typer.Option(help="The reason, for the books.")],
    reason: Reason = None,
    topic: Topic = None,
    since: Since = None,
    until: Until = None,
    position: Positions = None,
    limit: Limit = None,
    again: Again = False,
    by: By_ = None,
    as_json: Json = False,
) -> None:
    """Put on record that quarantined records are not wanted. They stay where they are, and `list` shows them as discarded."""
    now = datetime.now(UTC)
    filters = _filters(reason, topic, since, until, position, now)
    if not filters.as_dict() and limit is None:
        raise ChoiceError("Say which records are meant: --reason, --topic, --since, --until, --position or --limit.")
    settings = load_settings("operator")
    decision, positions, skipped = discard_records(
        settings, Store(settings), Choice(filters, limit, again), Author(_name(by), now, why)
    )
    show.discarded(decision, positions, skipped, as_json)


@app.command(epilog="Example: globalmart quarantine replay")
def replay(wait: Wait = 30, as_json: Json = False) -> None:
    """Replay what was decided and is not in Kafka yet, after a crash or an outage. A second time it finds nothing to do."""
    settings = load_settings("operator")
    replayed = replay_decided(settings, Store(settings), datetime.now(UTC))
    show.replayed(replayed, _outcomes(settings, replayed, wait), as_json)


def _outcomes(settings: Settings, replayed: Replayed, wait: float) -> dict[Position, str]:
    positions = replay_positions(replayed)
    return wait_for_outcomes(settings, positions, wait) if positions else {}


def _name(by: str | None) -> str:
    return by or getpass.getuser()


def _filters(
    reason: str | None,
    topic: str | None,
    since: str | None,
    until: str | None,
    positions: list[str] | None,
    now: datetime,
) -> Filters:
    places = tuple(sorted({Position.parse(text) for text in positions or ()}))
    return Filters(reason, topic, read_time(since, now), read_time(until, now), places)


def _change(rules: list[str] | None, file: Path | None, patch: Path | None, filters: Filters) -> Change:
    texts = [*(rules or ()), *(_rules_in(file) if file else ())]
    if bool(texts) == bool(patch):
        raise ChoiceError("Say how to repair: either --rule and --rules-file, or --patch.")
    if patch is None:
        return Change(parse_rules(texts))
    if len(filters.positions) != 1:
        raise ChoiceError("A patch is for one record: name it with --position.")
    try:
        merge: Any = read_value(patch.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ChoiceError(f"The patch {patch} cannot be read: {error}.") from None
    if not isinstance(merge, dict):
        raise ChoiceError(f"The patch {patch} is not a JSON object.")
    return Change(patch=merge)


def _rules_in(file: Path) -> list[str]:
    try:
        rules = tomllib.loads(file.read_text(encoding="utf-8")).get("rules")
    except (OSError, ValueError) as error:
        raise ChoiceError(f"The rules in {file} cannot be read: {error}.") from None
    if not isinstance(rules, list) or not all(isinstance(rule, str) for rule in rules):
        raise ChoiceError(f'{file} has no list of rules: write rules = ["number:quantity"].')
    return rules
