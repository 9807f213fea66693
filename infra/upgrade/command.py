"""`globalmart upgrade`: options, wording and exit codes only."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from lakehouse.settings import load_settings

_told = Console(stderr=True, highlight=False, markup=False)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Bring the data of the stack to the release that this is: tables, PostgreSQL, and what is written down of both.",
)


@app.command(epilog="Example: globalmart upgrade plan")
def plan(as_json: Json = False) -> None:
    """Say what an upgrade would change; changes nothing. Exit 1 where one is needed."""
    from infra.upgrade.steps import plan as run

    found = run(load_settings())
    if as_json:
        _print_json(asdict(found) | {"is_needed": found.is_needed})
    else:
        _print_plan(found)
    if found.is_needed:
        raise typer.Exit(1)


@app.command(epilog="Example: globalmart upgrade apply --backup-to /mnt/backups/shop")
def apply(
    backup_to: Annotated[
        str,
        typer.Option(
            "--backup-to", metavar="TARGET", help="Make a backup there first: a folder, or s3://bucket/prefix."
        ),
    ] = "",
    without_backup: Annotated[
        bool, typer.Option("--without-backup", help="Go without; there is then no way back.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Upgrade. Services are stopped for as long as it takes, and started with this release; producers need not stop.

    An upgrade that was cut short is finished by the same command.
    """
    from infra.upgrade.steps import apply as run

    if bool(backup_to) == without_backup:
        raise typer.BadParameter("say where the backup goes with --backup-to, or --without-backup.")
    done = run((lambda: _back_up(backup_to)) if backup_to else None, say=lambda text: _told.print(text, soft_wrap=True))
    if as_json:
        _print_json(asdict(done))
    elif not done.plan.is_needed:
        started = f" {', '.join(done.services)} run again, which an upgrade that was cut short had stopped."
        print(f"Nothing to do: the data is of this release.{started if done.services else ''}")
    else:
        started = f"; {', '.join(done.services)} run again" if done.services else ""
        print(f"Upgraded. The services were away for {done.pause_seconds} s{started}.")


def _back_up(target: str) -> None:
    from datetime import UTC, datetime

    from infra.backup.make import make
    from infra.backup.places import target_place

    settings = load_settings()
    made = make(
        settings, target_place(settings, target), datetime.now(UTC), say=lambda text: _told.print(text, soft_wrap=True)
    )
    _told.print(f"backup {made.manifest.backup_id} is made, {made.copied_files:,} files", soft_wrap=True)


def _print_plan(found: Any) -> None:
    from lakehouse.release import LAKE_VERSION

    there = "no record" if found.lake_version is None else f"version {found.lake_version}"
    print(f"The lake has {there}; this release has version {LAKE_VERSION}.")
    if found.is_unfinished:
        print("An upgrade was cut short: `globalmart upgrade apply` finishes it.")
    for path, columns in found.columns.items():
        print(f"{path}: to get {', '.join(columns)}; older rows have none")
    for package, revisions in found.migrations.items():
        print(f"{package}: PostgreSQL lacks revisions {', '.join(revisions)}")
    print("`globalmart upgrade apply` does it." if found.is_needed else "Nothing to do.")


def _print_json(body: dict[str, Any]) -> None:
    print(orjson.dumps(body, option=orjson.OPT_INDENT_2).decode())
