"""The desk's threads: what is away is waited for, a bug ends the process, a bell cuts a rest short."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from api.desk import service
from lakehouse.errors import KafkaError


@pytest.fixture
def start(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Callable[[], timedelta]], tuple[service.Worker, threading.Event]]:
    monkeypatch.setattr(service, "_RETRY_SECONDS", 0.01)

    def started(step: Callable[[], timedelta]) -> tuple[service.Worker, threading.Event]:
        stop = threading.Event()
        worker = service.Worker("test", step, stop, threading.Event())
        worker.start()
        return worker, stop

    return started


def test_what_is_away_is_tried_again_and_told_meanwhile(start: Callable) -> None:
    problems: list[str | None] = []
    worker: service.Worker
    ready = threading.Event()

    def step() -> timedelta:
        ready.wait(5)
        problems.append(worker.problem)
        if len(problems) < 3:
            raise KafkaError("no answer")
        stop.set()
        return timedelta(0)

    worker, stop = start(step)
    ready.set()
    worker.join(5)
    assert problems == [None, "no answer", "no answer"]
    assert (worker.problem, worker.bug) == (None, None)


def test_a_bug_stops_everything_and_is_kept(start: Callable) -> None:
    def step() -> timedelta:
        raise ZeroDivisionError

    worker, stop = start(step)
    assert stop.wait(5)
    worker.join(5)
    assert isinstance(worker.bug, ZeroDivisionError)


def test_a_bell_cuts_a_rest_short(start: Callable) -> None:
    steps = threading.Semaphore(0)

    def step() -> timedelta:
        steps.release()
        return timedelta(hours=1)

    worker, stop = start(step)
    assert steps.acquire(timeout=5)
    worker.bell.set()
    assert steps.acquire(timeout=5)
    stop.set()
    worker.bell.set()
    worker.join(5)
    assert not worker.is_alive()
