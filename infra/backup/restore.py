"""A backup put in the place of a stack's data: tables, PostgreSQL and Kafka's offsets at one point, from which the stream goes on.

The lake is marked before the first change and the mark goes last, so nobody writes to a lake that is half restored, and a restore that
was cut short is finished by running it again. Spark's checkpoints are in no backup: without one the stream opens a new generation at the
ledger's offsets (docs/adr/0002).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

from infra import stack
from infra.backup import check, database, make, offsets, point
from infra.backup.manifest import LAKE, BackupError, File, Manifest
from infra.backup.places import Folder, Place, lake_place
from infra.servers import kafka
from infra.supervision import Supervisor
from lakehouse import release
from lakehouse.kafka import KafkaOffsets
from lakehouse.lease import Lease
from lakehouse.ledger import last_entry
from lakehouse.release import Release
from lakehouse.settings import Service, Settings, load_settings
from lakehouse.storage import exists, open_table
from lakehouse.streams.source import ALL_TOPICS
from lakehouse.tables import BY_PATH, LEDGER_STREAMING, TABLES

Say = Callable[[str], None]
Step = Callable[[int, int], None]
SERVERS = ("kafka", "minio", "postgres")
_COPIES = 8
_IN_MEMORY = 32 * 1024 * 1024
_OWNERS: tuple[Service, ...] = ("streaming", "batch")


@dataclass(frozen=True)
class Restored:
    """`kafka` says in words what the stream goes on with; `settings` are those that differ from the backup's, by variable (then, now)."""

    kafka: str
    settings: dict[str, tuple[str, str]]


def restore(
    target: Place, manifest: Manifest, over: bool = False, say: Say = print, step: Step = lambda *_: None
) -> Restored:
    """Restore a backup into the local stack, whose services are stopped; its servers are started.

    Raises BackupError where the backup is not whole, the stack runs or holds data (unless `over`), or Kafka does not fit; then nothing is changed.
    """
    say(f"checking {len(manifest.files):,} files of backup {manifest.backup_id}")
    check.check(target, manifest, step)
    settings = servers_alone(say)
    with ExitStack() as owned:
        for owner in _OWNERS:
            owned.enter_context(Lease(load_settings(owner), owner))
        _refuse_data(settings, manifest, over)
        plan = _kafka_plan(settings, manifest)
        streaming = load_settings("streaming")
        mark = Release(manifest.lake_version, {table.path: table.schema_version for table in manifest.tables})
        release.write(streaming, Release(mark.lake_version, mark.tables, restoring=manifest.backup_id))
        say("restoring the lake")
        restore_lake(target, manifest, {owner: lake_place(load_settings(owner)) for owner in _OWNERS}, step)
        _forget(settings)
        _restore_database(settings, target, manifest, say)
        _copy(
            target,
            [file for file in manifest.files if file.path.startswith("audit/")],
            Folder(settings.state_dir),
            "",
            step,
        )
        if plan.begin:
            say("letting Kafka begin where the lake ends")
            offsets.begin(settings, plan.begin, say)
        compare(settings, manifest)
        release.write(streaming, mark)
    return Restored(plan.sentence(), _changed(manifest.settings, make.plain_settings(settings)))


def restore_kafka(say: Say = print) -> str:
    """Let a new, empty Kafka of the local stack begin where the lake ends; returns what was done in words. Raises BackupError."""
    settings = servers_alone(say)
    with Lease(load_settings("streaming"), "streaming"):
        entry = last_entry(open_table(settings, LEDGER_STREAMING)) if exists(settings, LEDGER_STREAMING) else None
        if entry is None:
            raise BackupError("The lake has taken nothing yet: an empty Kafka is right as it is.")
        _, ends = make.kafka_state(settings)
        plan = offsets.plan(True, entry.next_offsets, {}, _starts(settings, ends), ends)
        offsets.begin(settings, plan.begin, say)
    return plan.sentence()


def servers_alone(say: Say) -> Settings:
    """Start the local stack's servers. Raises BackupError where other services of it run."""
    servers = {*SERVERS, *kafka.brokers(load_settings())}
    running = [
        name for name, info in Supervisor(load_settings()).processes().items()
        if info["statename"] in {"RUNNING", "STARTING", "BACKOFF"} and name not in servers
    ]  # fmt: skip
    if running:
        raise BackupError(
            f"The stack runs ({', '.join(running)}): stop it with `globalmart down`. Nothing was changed."
        )
    return stack.up(only=SERVERS, say=say)


def restore_lake(target: Place, manifest: Manifest, places: dict[Service, Place], step: Step = lambda *_: None) -> None:
    """Put a backup's tables in the place of those that are there, each with its owner's place. Logs come last, the ledger's last of all."""
    for owner, place in places.items():
        for table in TABLES:
            if table.owner == owner:
                place.delete(place.files(table.path).keys())
    files = [file for file in manifest.files if file.path.startswith(LAKE)]
    for owner, place in places.items():
        owns = [file for file in files if _owner(file) == owner]
        data = [file for file in owns if "/_delta_log/" not in file.path]
        ledger = [file for file in owns if file.path.startswith(f"{LAKE}{LEDGER_STREAMING.path}/_delta_log/")]
        rest = [file for file in owns if file not in set(data) | set(ledger)]
        for group in (data, rest, ledger):
            _copy(target, group, place, LAKE, step)


def _owner(file: File) -> str:
    layer, name = file.path.removeprefix(LAKE).split("/")[:2]
    return BY_PATH[f"{layer}/{name}"].owner


def _copy(target: Place, files: list[File], place: Place, root: str, step: Step) -> None:
    def one(file: File) -> None:
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as body:
            target.read(file.object, body)
            body.seek(0)
            place.write(file.path.removeprefix(root), body)

    with ThreadPoolExecutor(_COPIES) as pool:
        for number, _ in enumerate(pool.map(one, files), start=1):
            step(number, len(files))


def _refuse_data(settings: Settings, manifest: Manifest, over: bool) -> None:
    found = release.read(settings)
    if over or (found is not None and found.restoring):
        return
    place = lake_place(settings)
    full = [table.path for table in TABLES if place.files(f"{table.path}/_delta_log")]
    if full:
        raise BackupError(
            f"The lake at {settings.lake_uri} holds {len(full)} tables already ({full[0]} and so on). Nothing was changed. Restore into an empty "
            f"stack, or say --over to lose what came after backup {manifest.backup_id}."
        )
    if database.is_there(settings) and not database.is_empty(settings):
        raise BackupError(
            "PostgreSQL holds alerts, keys or decisions already. Nothing was changed. Restore into an empty stack, or say --over to lose them."
        )


def _kafka_plan(settings: Settings, manifest: Manifest) -> offsets.Plan:
    cluster, ends = make.kafka_state(settings)
    starts = _starts(settings, ends)
    others = {name: end for name, end in manifest.kafka_ends.items() if name.rsplit("/", 1)[0] not in ALL_TOPICS}
    return offsets.plan(cluster == manifest.kafka_cluster, manifest.point.next_offsets, others, starts, ends)


def _starts(settings: Settings, ends: dict[str, int]) -> dict[str, int]:
    asked = KafkaOffsets(settings)
    try:
        return asked.starts(asked.partitions({name.rsplit("/", 1)[0] for name in ends}))
    finally:
        asked.close()


def _forget(settings: Settings) -> None:
    """What was made from the data that was there, and is made again from the data that is there now."""
    checkpoints = Path(unquote(urlparse(settings.checkpoint_uri).path))
    for folder in (checkpoints / "refine", settings.state_dir / "realtime", settings.serving_dir, settings.run_dir):
        shutil.rmtree(folder, ignore_errors=True)


def _restore_database(settings: Settings, target: Place, manifest: Manifest, say: Say) -> None:
    dumps = [file for file in manifest.files if file.path.startswith("postgres/")]
    if not dumps:
        say("the backup has nothing of PostgreSQL")
        return
    say("restoring PostgreSQL")
    with tempfile.TemporaryDirectory(prefix="globalmart-restore-") as folder:
        _copy(target, dumps, Folder(Path(folder)), "", lambda *_: None)
        database.load(settings, {Path(file.path).stem: Path(folder) / file.path for file in dumps})


def compare(settings: Settings, manifest: Manifest) -> None:
    """Read the tables and raise BackupError where one is not at the version, or has not the rows or the money, that the manifest says."""
    for state in manifest.tables:
        table = BY_PATH[state.path]
        count = point.row_count(settings, table, state.version)
        if state.row_count not in (None, count):
            raise BackupError(
                f"{state.path} has {count:,} rows after the restore and had {state.row_count:,}: restore it again."
            )
    found = point.money(settings, {state.path: state.version for state in manifest.tables})
    if found != manifest.money:
        raise BackupError(f"Money after the restore is {found} and was {manifest.money}: restore it again.")


def _changed(then: dict[str, str], now: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Settings that differ, but for those that say where things are on this machine."""
    names = {
        name
        for name in then.keys() | now.keys()
        if not name.endswith(("_DIR", "_URI", "_PORT", "_URL", "_ENDPOINT", "_SERVERS"))
    }
    return {
        name: (then.get(name, "default"), now.get(name, "default"))
        for name in sorted(names)
        if then.get(name) != now.get(name)
    }
