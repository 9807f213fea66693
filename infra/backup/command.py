"""`globalmart backup` and `globalmart restore`: options, wording and exit codes only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from typer.core import TyperGroup

from lakehouse.settings import load_settings

EPILOG = "Example: globalmart restore /mnt/backups/shop"
_told = Console(stderr=True, highlight=False, markup=False)

Target = Annotated[str, typer.Argument(metavar="TARGET", help="A folder, or s3://bucket/prefix.")]
Which = Annotated[
    str | None, typer.Option("--backup", metavar="ID", help="Which of the target's; the newest if not named.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class _MakeUnlessNamed(TyperGroup):
    """`globalmart backup TARGET` is `globalmart backup make TARGET`."""

    unless_named = "make"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and not {"--help", *self.commands} & set(args):
            args = [self.unless_named, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_MakeUnlessNamed,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Back up tables, offsets and PostgreSQL to one consistent point, while the streams run. `globalmart backup TARGET` makes one.",
)


@app.command(epilog="Example: globalmart backup /mnt/backups/shop")
def make(target: Target, as_json: Json = False) -> None:
    """Make a backup; into a target that has one already, only what is new is copied."""
    from infra.backup.make import make as run
    from infra.backup.places import target_place

    settings = load_settings()
    began = time.monotonic()
    with _bar("copying") as step:
        made = run(settings, target_place(settings, target), datetime.now(UTC), _say, step)
    one, seconds = made.manifest, round(time.monotonic() - began, 1)
    if as_json:
        copied = {"copied_files": made.copied_files, "copied_bytes": made.copied_bytes, "seconds": seconds}
        _print_json(_summary(one) | copied)
        return
    print(
        f"Backup {one.backup_id}: {len(one.files):,} files, {_size(one.byte_count)}, of which {made.copied_files:,} files, "
        f"{_size(made.copied_bytes)}, were copied now, in {seconds} s."
    )
    print(f"The point is batch {one.point.batch_id} of {one.point.committed_at:%Y-%m-%d %H:%M:%S} UTC: {_counts(one)}.")
    print(
        "Not in it: passwords and keys of .env and the secrets folder. A new stack makes its own, and nothing in the backup needs the old."
    )


@app.command(epilog="Example: globalmart backup verify /mnt/backups/shop")
def verify(target: Target, backup: Which = None, as_json: Json = False) -> None:
    """Read every file of a backup and compare it with its hash; exit 1 and each fault where one differs."""
    from infra.backup import check, manifest
    from infra.backup.places import target_place

    place = target_place(load_settings(), target)
    one = manifest.read(place, backup)
    with _bar("verifying") as step:
        found = check.faults(place, one, step)
    if as_json:
        _print_json({"backup_id": one.backup_id, "is_whole": not found, "files": len(one.files), "faults": found})
    else:
        for fault in found:
            print(fault)
        verdict = f"{len(found)} files are damaged" if found else "all there, and as they were"
        print(f"Backup {one.backup_id}: {len(one.files):,} files, {_size(one.byte_count)}: {verdict}.")
        if found:
            print(check.AFTERWARDS)
    if found:
        raise typer.Exit(1)


@app.command("list", epilog="Example: globalmart backup list /mnt/backups/shop")
def list_backups(target: Target, as_json: Json = False) -> None:
    """List the backups of a target, oldest first; exit 1 where the manifest of one cannot be read."""
    from infra.backup import manifest
    from infra.backup.places import target_place

    place = target_place(load_settings(), target)
    found, damaged = [], []
    for backup_id in manifest.backup_ids(place):
        try:
            found.append(manifest.read(place, backup_id))
        except manifest.BackupError as error:
            damaged.append(str(error))
    if as_json:
        _print_json({"backups": [_summary(one) for one in found], "damaged": damaged})
    else:
        _print_list(found)
        for words in damaged:
            print(words)
    if damaged:
        raise typer.Exit(1)


@app.command(epilog="Example: globalmart backup prune /mnt/backups/shop --keep 48")
def prune(
    target: Target,
    keep: Annotated[int, typer.Option("--keep", metavar="N", min=1, help="How many of the newest backups to keep.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    as_json: Json = False,
) -> None:
    """Drop all backups but the newest, and the contents that only they had. Not while one is being made or restored."""
    from infra.backup import prune as pruning
    from infra.backup.places import target_place

    done = pruning.prune(target_place(load_settings(), target), keep, datetime.now(UTC), dry_run)
    if as_json:
        _print_json(asdict(done) | {"dry_run": dry_run})
        return
    for backup_id in done.dropped:
        print(f"{'would drop' if dry_run else 'dropped'} {backup_id}")
    print(
        f"{len(done.kept)} backups {'would be' if dry_run else 'are'} kept; {done.files:,} files, {_size(done.byte_count)}, "
        f"{'would be' if dry_run else 'were'} removed."
    )


def _print_list(found: list[Any]) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("backup", "batch", "point (UTC)", "records", "files", "size", "version"):
        table.add_column(title, justify="left" if title in ("backup", "point (UTC)", "version") else "right")
    for one in found:
        table.add_row(
            one.backup_id, str(one.point.batch_id), f"{one.point.committed_at:%Y-%m-%d %H:%M:%S}", f"{one.counts['record_count']:,}",
            f"{len(one.files):,}", _size(one.byte_count), one.project_version,
        )  # fmt: skip
    Console(highlight=False, width=None if sys.stdout.isatty() else 160).print(table)


def restore(
    target: Annotated[str | None, typer.Argument(metavar="TARGET", help="A folder, or s3://bucket/prefix.")] = None,
    backup: Which = None,
    over: Annotated[bool, typer.Option("--over", help="Replace the data that is there; it is lost.")] = False,
    kafka_only: Annotated[
        bool,
        typer.Option("--kafka-only", help="Leave the lake as it is, and let a new, empty Kafka begin where it ends."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Restore a backup into the local stack, which must be stopped and empty. Then `globalmart up` goes on from its point."""
    from infra.backup import manifest
    from infra.backup import restore as to
    from infra.backup.places import target_place

    began = time.monotonic()
    if kafka_only:
        if target is not None or backup is not None or over:
            raise typer.BadParameter("--kafka-only reads no backup: say it alone, without TARGET, --backup and --over.")
        words = to.restore_kafka(_say)
        if as_json:
            _print_json({"kafka": words, "seconds": round(time.monotonic() - began, 1)})
            return
        print(f"{words[0].upper()}{words[1:]}. `globalmart up` starts the stream.")
        return
    if target is None:
        raise typer.BadParameter("which backup? Name the folder or the s3:// address that it was made to.")
    place = target_place(load_settings(), target)
    one = manifest.read(place, backup)
    with _bar("files") as step:
        done = to.restore(place, one, over, _say, step)
    seconds = round(time.monotonic() - began, 1)
    if as_json:
        _print_json(_summary(one) | {"kafka": done.kafka, "settings": done.settings, "seconds": seconds})
        return
    print(f"Restored backup {one.backup_id} in {seconds} s, to batch {one.point.batch_id}: {_counts(one)}.")
    print(f"{done.kafka}.")
    for name, (then, now) in done.settings.items():
        print(f"{name} was {then} and is {now}.")
    print("`globalmart up` starts the stream.")


def _say(text: str) -> None:
    _told.print(text, soft_wrap=True)


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_told, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _summary(one: Any) -> dict[str, Any]:
    kept = asdict(one) | {"files": len(one.files), "bytes": one.byte_count}
    kept["money"] = {name: orjson.Fragment(f"{amount:.2f}") for name, amount in one.money.items()}
    return kept


def _print_json(body: dict[str, Any]) -> None:
    print(orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())


def _counts(one: Any) -> str:
    money = next(iter(one.money.values()), 0)
    return f"{one.counts['record_count']:,} records, {len(one.tables)} tables, {money:,.2f} USD"


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
