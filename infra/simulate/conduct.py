"""One simulation from its plan to its outcome: the stack, the generator, the broker that is killed, and the waiting for midnight runs."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg

from infra import stack
from infra.bench.base import BenchError, wait_for_lag
from infra.bench.looks import Look, looking
from infra.simulate import reading
from infra.simulate.alarms import match_all
from infra.simulate.outcome import DayRun, Outcome, by_hour, problems
from infra.simulate.plan import BROKER_LOSS, Clock, Incident, Plan
from infra.simulate.view import Show, View
from infra.supervision import Supervisor
from ingestion.options import RunOptions
from ingestion.run import Progress, Report, run
from lakehouse import heartbeat
from lakehouse.books.prove import prove
from lakehouse.errors import GlobalMartError
from lakehouse.settings import CHECKOUT, Settings, env_file

SERVICES = ("kafka", "minio", "postgres", "streaming", "desk")
_LOOK_SECONDS = 15
_RUNS_SECONDS = 10
_DRAIN_SECONDS = 900
_SHORT_DRAIN_SECONDS = 120
_LAST_RUNS_SECONDS = 900
_BROKER_SECONDS = 120
# The desk's watch measures real time: at its usual windows of minutes it would look at days of the shop at once.
WATCH = {
    "check_seconds": 2,
    "hold_seconds": 4,
    "stalled_seconds": 30,
    "quality_minutes": 0.5,
    "quality_least_records": 200,
}
Say = Callable[[str], None]


class NothingYetError(GlobalMartError):
    """Stopped before the first day."""


def prepare() -> None:
    """Settings of the simulation's own stack: nothing in it may take real time for the shop's."""
    rules = env_file().parent / "alerts.toml"
    rules.write_text(watched((CHECKOUT / Settings.model_fields["alert_rules"].default).read_text(encoding="utf-8")))
    with env_file().open("a") as file:
        file.write(f"GLOBALMART_ALERT_RULES={rules}\n")
        # A quiet stream would move its watermark to today, and the rest of the simulated week would be late.
        file.write("GLOBALMART_STREAM_IDLE_SECONDS=864000\n")


def watched(rules: str) -> str:
    """The desk's rules file with the windows of WATCH. Raises ValueError where it has not each of them once."""
    for name, value in WATCH.items():
        rules, count = re.subn(rf"(?m)^{name} *=.*$", f"{name} = {value}", rules)
        if count != 1:
            raise ValueError(f"{name} stands {count} times in the alert rules")
    return rules


def conduct(plan: Plan, stop: threading.Event, say: Say, show: Show) -> Outcome:
    """Simulate until the plan's end or `stop`, and say what happened. The stack of this process' `.env` is up afterwards.

    Raises StackError, KafkaError, BenchError, NothingYetError where it cannot even begin, and whatever ends the generator.
    """
    settings = stack.up(only=SERVICES, say=say)
    with reading.dagster_record(settings) as instance:
        stack.up(only=["dagster-daemon"], say=say)  # after its tables are there: two that make them would stumble
        _send_catalogue(settings, plan, stop, say)
        with looking(settings, _LOOK_SECONDS) as looks:
            return _simulate(settings, plan, instance, looks, stop, say, show)


def _send_catalogue(settings: Settings, plan: Plan, stop: threading.Event, say: Say) -> None:
    say("sending the catalogue")
    if not stop.is_set():
        run(settings, plan.catalogue(), stop=stop)
    if stop.is_set():
        raise NothingYetError("Interrupted before the first day: there is nothing to report.")
    wait_for_lag(settings, 0)


def _simulate(
    settings: Settings,
    plan: Plan,
    instance: dg.DagsterInstance,
    looks: Sequence[Look],
    stop: threading.Event,
    say: Say,
    show: Show,
) -> Outcome:
    days = _Days(plan, instance, say)
    generator = _Generator(settings, plan.traffic(), stop)
    generator.start()
    clock = _run(settings, plan, generator, days, stop, say, show)
    sent_at = datetime.now(UTC)
    reached_at = min(clock.simulated(sent_at), plan.end) if generator.report.interrupted else plan.end
    is_interrupted = generator.report.interrupted
    drained = _drain(settings, is_interrupted, say)
    if not is_interrupted:
        is_interrupted = _wait_for_runs(days, clock, stop, say)
    runs = reading.day_runs(instance, clock)
    say("proving the books")
    books = prove(settings)
    told, alarms = reading.told_and_raised(clock, clock.began_at)
    incidents = match_all(plan.incidents, clock, reached_at, told)
    report = generator.report
    return Outcome(
        plan=plan,
        clock=clock,
        reached_at=reached_at,
        ended_at=datetime.now(UTC),
        is_interrupted=is_interrupted,
        drain_seconds=drained,
        sent=report.acknowledged,
        injected=report.faults,
        most_seconds_behind=report.most_seconds_behind,
        hours=by_hour(clock, reached_at, reading.sold_by_hour(settings), reading.batches(settings), looks),
        runs=runs,
        alarms=alarms,
        incidents=incidents,
        books=books,
        problems=problems(plan, is_interrupted, runs, incidents, books),
    )


class _Generator(threading.Thread):
    """The generator's run. `clock` is known from its first word about the history on; `report` at its end."""

    def __init__(self, settings: Settings, options: RunOptions, stop: threading.Event) -> None:
        super().__init__(name="generator", daemon=True)
        self._settings, self._options, self._stop_asked = settings, options, stop
        self.began_at: datetime | None = None
        self.progress: Progress | None = None
        self.error: BaseException | None = None
        self._report: Report | None = None

    @property
    def report(self) -> Report:
        """Raises what ended the run."""
        if self._report is None:
            raise self.error or RuntimeError("the generator has not ended")
        return self._report

    def run(self) -> None:
        try:
            self._report = run(self._settings, self._options, on_progress=self._take, stop=self._stop_asked)
        except BaseException as error:  # told to the thread that asks for the report
            self.error = error

    def _take(self, progress: Progress) -> None:
        if progress.phase == "history":
            passed = timedelta(seconds=progress.done * self._options.clock_seconds)
            self.began_at = self.began_at or datetime.now(UTC) - passed
            self.progress = progress


@dataclass
class _Days:
    """The daily runs as they end, each told once."""

    plan: Plan
    instance: dg.DagsterInstance
    say: Say
    known: set[object] = field(default_factory=set)
    _looked: float = 0.0

    def look(self, clock: Clock) -> bool:
        """Whether all days' runs are over."""
        if time.monotonic() - self._looked >= _RUNS_SECONDS:
            self._looked = time.monotonic()
            for one in reading.day_runs(self.instance, clock):
                if one.made_at is not None and one.day not in self.known:
                    self.known.add(one.day)
                    self.say(_words(one))
        return reading.days_of(self.plan.start, self.plan.days) <= self.known


def _words(one: DayRun) -> str:
    took = f" in {one.seconds:.0f} s" if one.seconds is not None else ""
    return f"{one.day}: {one.status.lower()}, {len(one.tables)} tables made{took}"


def _run(
    settings: Settings,
    plan: Plan,
    generator: _Generator,
    days: _Days,
    stop: threading.Event,
    say: Say,
    show: Show,
) -> Clock:
    """Watch over the generator until it ends, and take the broker away when it is due. Returns the simulated clock."""
    while generator.began_at is None and generator.is_alive():
        generator.join(0.1)
    clock = Clock(plan.start, generator.began_at or datetime.now(UTC), plan.speed)
    waiting = list(plan.of_kind(BROKER_LOSS))
    lost: Incident | None = None
    told: set[object] = set()
    try:
        while generator.is_alive():
            at = min(clock.simulated(datetime.now(UTC)), plan.end)
            for one in plan.incidents:
                if one not in told and at >= plan.start + one.begins:
                    told.add(one)
                    say(f"{at:%Y-%m-%d %H:%M} simulated: {one.kind}")
            if waiting and at >= plan.start + waiting[0].begins:
                lost = waiting.pop(0)
                _kill_broker(settings)
            if lost is not None and at >= plan.start + lost.ends:
                lost = None
                _start_broker(settings)
            days.look(clock)
            beat = heartbeat.read(settings, "streaming") or {}
            sent = generator.progress.acknowledged if generator.progress else 0
            done = (at - plan.start) / (plan.end - plan.start)
            show(View(done, at, sent, beat.get("lag_records"), len(days.known)))
            generator.join(0.25)
            if stop.is_set() and lost is not None:
                lost = None
                _start_broker(settings)
    finally:
        if lost is not None:
            _start_broker(settings)
    return clock


def _kill_broker(settings: Settings) -> None:
    """kill -9, and keep the supervisor from starting it anew."""
    supervisor = Supervisor(settings)
    pid = int(supervisor.processes().get("kafka", {}).get("pid", 0))
    if pid:  # 0 where it is down already; to `kill`, 0 is the whole group of this process
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _BROKER_SECONDS
    while supervisor.processes().get("kafka", {}).get("statename") != "STOPPED" and time.monotonic() < deadline:
        with contextlib.suppress(xmlrpc.client.Fault):  # between two lives there is nothing to stop
            supervisor.call("stopProcess", "kafka")
        time.sleep(0.1)


def _start_broker(settings: Settings) -> None:
    Supervisor(settings).call("startProcess", "kafka", False)


def _drain(settings: Settings, is_short: bool, say: Say) -> float | None:
    """Seconds until the lake had all that was sent; None where it did not come to that."""
    say("waiting for the stream to take what is left")
    begin = time.monotonic()
    try:
        wait_for_lag(settings, 0, _SHORT_DRAIN_SECONDS if is_short else _DRAIN_SECONDS)
    except BenchError as error:
        say(str(error))
        return None
    return round(time.monotonic() - begin, 1)


def _wait_for_runs(days: _Days, clock: Clock, stop: threading.Event, say: Say) -> bool:
    """Wait for the last midnight's run, for a time. True where it was cut short by `stop`."""
    say("waiting for the last daily runs")
    deadline = time.monotonic() + _LAST_RUNS_SECONDS
    while not days.look(clock) and time.monotonic() < deadline:
        if stop.wait(0.5):
            return True
    return False
