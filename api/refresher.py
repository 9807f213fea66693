"""The refresher (`python -m api.refresher`): keeps the serving folder at the newest gold versions, one small step at a time.

Two lanes: what changes by the second is looked at and published in each round; batch tables are brought up to date, and long
tails folded, in a thread of its own, so that ten million rows of a mart do not keep the live figures waiting.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
from deltalake.exceptions import DeltaError

from api.builder import read_live, remove_unused, write_live
from api.errors import ServingFileError
from api.holding import Held, Holding
from api.manifest import Manifest, TableMeta, read_manifest, write_manifest
from api.mirror.service import MirrorService
from api.served import SERVING, Served
from api.source import first_line
from lakehouse import logs
from lakehouse.errors import GlobalMartError
from lakehouse.heartbeat import Pulse, stop_on_signals
from lakehouse.settings import Settings, load_settings

FOLD_ROWS = 50_000
LIVE = tuple(one for one in SERVING if one.is_live)
BATCH = tuple(one for one in SERVING if not one.is_live)
# A live table that lags behind this far is folded before it is published, or the live file would be slow to write.
_LONG_TAIL = 8
# Batch tables change with a run: looking for news is reads of the store all the same.
_BATCH_SECONDS = 5.0
# What the world outside may do to a refresh; anything else is a bug and ends the process with its traceback.
_CURABLE = (GlobalMartError, OSError, DeltaError, pa.ArrowException, duckdb.Error)


class Refresher:
    """The state between two refreshes: the current set, and what is held of each table."""

    def __init__(self, settings: Settings, fold_rows: int = FOLD_ROWS) -> None:
        self.settings = settings
        self.fold_rows = fold_rows
        self.folder = settings.serving_dir
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.manifest = Manifest()
        self.problems: dict[str, str] = {}
        self._holding = Holding(settings, self.folder)
        self._resume()
        self._recent = [self.manifest]
        self._unpublished = not self.manifest.live
        self._looks = ThreadPoolExecutor(4, "refresher-look")

    @property
    def metas(self) -> dict[str, TableMeta]:
        """What is known of each table that is held, by name."""
        return {name: held.meta for name, held in self._holding.now()[0].items()}

    def refresh(self) -> bool:
        """Bring the folder to the newest gold versions of all tables; True if a new set was published.

        What cannot be read stays as it was and is named in `problems`; the other tables go on.
        """
        self.take(SERVING)
        self.fold(SERVING, self.fold_rows)
        return self.publish()

    def take(self, tables: Iterable[Served]) -> None:
        """Take the news of `tables`, to be published next."""
        for changed in self._looks.map(self._take, tables):
            # Kept until published: a publication that fails (a full disk) is tried again at the next refresh.
            if changed:
                self._unpublished = True

    def _take(self, served: Served) -> bool:
        try:
            changed = self._holding.take(served)
        except _CURABLE as error:
            path = served.table.path
            self.problems[path] = str(error) if isinstance(error, GlobalMartError) else f"{path}: {first_line(error)}"
            return False
        self.problems.pop(served.table.path, None)
        return changed

    def fold(self, tables: Iterable[Served], least_rows: int) -> None:
        """Move tails of `least_rows` or more into base files, to be published next."""
        for served in tables:
            if self._holding.fold(served, least_rows):
                self._unpublished = True

    def publish(self) -> bool:
        """Make what is held the current set; False where nothing is new."""
        if not self._unpublished:
            return False
        self._unpublished = False
        try:
            self._publish()
        except BaseException:
            self._unpublished = True
            raise
        return True

    def _resume(self) -> None:
        """Go on from the files of the last run. Damaged ones are given up: everything is loaded anew."""
        try:
            manifest = read_manifest(self.folder)
            if manifest is not None:
                tails, metas = read_live(self.folder, manifest)
                bases = manifest.bases
                self._holding.held = {m.name: Held(m, tails[m.name], bases.get(m.name)) for m in metas}
                self.manifest = manifest
        except ServingFileError:
            # The names of a damaged set are never used again: a reader may still have its files open.
            self.manifest = Manifest(sequence=int(datetime.now(UTC).timestamp()))

    def _publish(self) -> None:
        held, files = self._holding.now()
        sequence = self.manifest.sequence + 1
        built_at = datetime.now(UTC).replace(tzinfo=None)
        live = f"live-{sequence}.duckdb"
        bases = {name: one.base for name, one in held.items() if one.base}
        tails = {name: one.tail for name, one in held.items()}
        metas = [replace(one.meta, built_at=built_at) for one in held.values()]
        write_live(self.folder, live, tails, bases, metas, self.settings.duckdb_memory_gb / 2)
        self.manifest = replace(self.manifest, sequence=sequence, live=live, bases=bases)
        write_manifest(self.folder, self.manifest)
        self._holding.published(held)
        self._recent = [*self._recent[-10:], self.manifest]
        remove_unused(self.folder, self._recent, files | self._holding.now()[1])


def _keep_batch(refresher: Refresher, stop: threading.Event, failed: list[BaseException]) -> None:
    """The lane of batch tables and of folding, until `stop`; a bug in it goes to `failed`."""
    seconds = min(_BATCH_SECONDS, 5 * refresher.settings.refresh_seconds)
    try:
        while not stop.wait(seconds):
            refresher.take(BATCH)
            try:
                refresher.fold(LIVE, refresher.fold_rows)
            except _CURABLE as error:
                refresher.problems["fold"] = first_line(error)
            else:
                refresher.problems.pop("fold", None)
    except BaseException as error:
        failed.append(error)


def run(settings: Settings, stop: threading.Event) -> None:
    """Refresh every `settings.refresh_seconds` until `stop`; the heartbeat `refresher` says how it went.

    The PostgreSQL mirror is kept beside it. What that waits for is in the heartbeat too, and holds up nothing else.
    """
    with Pulse(settings, "refresher") as pulse:
        mirror = MirrorService(settings, stop)
        mirror.start()
        refresher: Refresher | None = None
        failed: list[BaseException] = []
        while not stop.is_set():
            try:
                if refresher is None:
                    refresher = Refresher(settings)
                    lane = threading.Thread(
                        target=_keep_batch, args=(refresher, stop, failed), name="refresher-batch", daemon=True
                    )
                    lane.start()
                refresher.take(LIVE)
                refresher.fold(LIVE, _LONG_TAIL * refresher.fold_rows)
                refresher.publish()
                reason = " ".join(dict(refresher.problems).values())
            except _CURABLE as error:
                reason = str(error) if isinstance(error, GlobalMartError) else first_line(error)
            if failed:
                raise failed[0]
            served = {name: meta.delta_version for name, meta in refresher.metas.items()} if refresher else {}
            state = "waiting" if reason else "running"
            stale = [path.partition("/")[2] for path in dict(refresher.problems)] if refresher else []
            pulse.say(state, reason=reason or None, table_versions=served, stale_tables=stale, mirror=mirror.said())
            stop.wait(settings.refresh_seconds)


def main() -> int:
    stop = stop_on_signals()
    logs.set_up("refresher")
    try:
        run(load_settings("serving"), stop)
    except GlobalMartError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
