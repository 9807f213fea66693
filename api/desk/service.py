"""The desk's process: a thread for the intake, one for the watch, one for each channel, and a heartbeat. Wiring only."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from api.desk import outbox, store
from api.desk.channels.ways import ways
from api.desk.core import Desk
from api.desk.database import CURABLE, connect, in_words, migrate
from api.desk.delivery import Courier
from api.desk.intake import Intake
from api.desk.rules import load_rules
from api.desk.sources.base import Source
from api.desk.sources.channels import FailingChannels
from api.desk.sources.heartbeats import Heartbeats
from api.desk.sources.lag import Lag
from api.desk.sources.quality import Quality
from api.desk.sources.recent import RecentLedger
from api.desk.sources.services import Services
from api.desk.watch import UNKNOWABLE, Watch
from api.source import first_line
from lakehouse.errors import GlobalMartError
from lakehouse.heartbeat import Pulse, stop_on_signals
from lakehouse.settings import CHECKOUT, Settings

NAME = "desk"
_RETRY_SECONDS = 1.0
log = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


class Worker(threading.Thread):
    """Repeats `step`, which says how long to rest, until `stop`. What is curable is tried again; a bug ends the process."""

    def __init__(self, name: str, step: Callable[[], timedelta], stop: threading.Event, bell: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._step = step
        self._stop_asked = stop
        self.bell = bell
        self.problem: str | None = None
        self.bug: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._stop_asked.is_set():
                self._rest(self._try())
        except BaseException as error:  # handed to the main thread, which ends the process with it
            self.bug = error
            self._stop_asked.set()

    def _try(self) -> float:
        try:
            rest = self._step().total_seconds()
            self.problem = None
        except CURABLE as error:
            self.problem, rest = in_words(error), _RETRY_SECONDS
        except GlobalMartError as error:
            self.problem, rest = str(error), _RETRY_SECONDS
        return rest

    def _rest(self, seconds: float) -> None:
        if seconds > 0:
            self.bell.wait(seconds)
        self.bell.clear()


class Rounds:
    """One round of the watch over all sources."""

    def __init__(self, settings: Settings, desk: Desk) -> None:
        ledger = RecentLedger(settings)
        rules = desk.rules.watch
        self._desk = desk
        self._sources: tuple[Source, ...] = (
            Services(settings, rules, NAME),
            Heartbeats(settings, NAME),
            FailingChannels(desk.engine),
            Lag(settings, rules, ledger),
            Quality(rules, ledger),
        )
        self._watches: list[Watch] | None = None
        self._problems: dict[str, str] = {}
        self._rest = timedelta(seconds=rules.check_seconds)

    def step(self) -> timedelta:
        """A source that cannot know says nothing, and the others go on. What could not be stored is found again."""
        watches = self._watches or self._load()
        self._watches = None
        for watch in watches:
            now = _now()
            try:
                found = watch.look(now)
            except UNKNOWABLE as error:
                self._log(type(watch.source).__name__, first_line(error))
                continue
            self._log(type(watch.source).__name__, "")
            self._desk.tell(found, now)
        self._watches = watches
        return self._rest

    def _log(self, source: str, problem: str) -> None:
        """Once, not in each round."""
        if self._problems.get(source, "") != problem:
            log.info("%s: %s", source, problem or "knows again")
            self._problems[source] = problem

    def _load(self) -> list[Watch]:
        hold = timedelta(seconds=self._desk.rules.watch.hold_seconds)
        with self._desk.engine.connect() as connection:
            return [Watch(source, hold, store.standing(connection, source.kinds)) for source in self._sources]


def run(settings: Settings, stop: threading.Event) -> None:
    """Work until `stop`. Raises AlertRulesError, DeskDatabaseError; what is away is waited for."""
    rules = load_rules(CHECKOUT / settings.alert_rules)
    makers = ways(settings, rules)
    engine = connect(settings, awaits_disk=False)
    bells = {name: threading.Event() for name in makers}
    desk = Desk(engine, rules, frozenset(makers), bells)
    with Pulse(settings, NAME) as pulse:
        while not stop.is_set():
            try:
                migrate(engine)
                with engine.begin() as connection:
                    for name in makers:
                        outbox.open_channel(connection, name, _now(), rules.channels.of(name).burst)
                break
            except CURABLE as error:
                pulse.say("waiting", reason=in_words(error))
                stop.wait(_RETRY_SECONDS)
        intake = Intake(settings, desk, _now)
        made = {name: make() for name, make in makers.items()}
        couriers = {n: Courier(n, engine, rules, channel, _now, random.random) for n, channel in made.items()}
        workers = [
            Worker("intake", lambda: _take(intake), stop, threading.Event()),
            Worker("watch", Rounds(settings, desk).step, stop, threading.Event()),
            *(Worker(name, courier.step, stop, bells[name]) for name, courier in couriers.items()),
        ]
        _work(workers, intake, pulse, stop)
        for channel in made.values():
            channel.close()
    engine.dispose()


def _take(intake: Intake) -> timedelta:
    intake.step()
    return timedelta(0)


def _work(workers: list[Worker], intake: Intake, pulse: Pulse, stop: threading.Event) -> None:
    for worker in workers:
        worker.start()
    while not stop.wait(1):
        problems = {worker.name: worker.problem for worker in workers if worker.problem}
        state = "waiting" if "intake" in problems else "running"
        reason = "; ".join(sorted(set(problems.values())))
        pulse.say(state, reason=reason or None, taken_count=intake.taken_count, lag_records=intake.lag)
    for worker in workers:
        worker.bell.set()
    for worker in workers:
        worker.join(timeout=15)
        if worker.bug is not None:
            raise worker.bug
    intake.close()


def main(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = stop_on_signals()
    run(settings, stop)
