"""Requests at a steady rate, each due at its own moment: what waits behind a slow answer counts as slow too."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

_WORKERS = 32
Ask = Callable[[], Callable[[int], bool]]


def steady(make: Ask, kinds: int, rate: int, seconds: float) -> tuple[list[list[float]], int]:
    """Seconds from when each request was due to its end, by kind, and how many failed.

    `make` gives each worker its own way to ask for the kind of a number, which says whether it went well.
    """
    times: list[list[float]] = [[] for _ in range(kinds)]
    failed = itertools.count()
    due: queue.SimpleQueue[tuple[float, int] | None] = queue.SimpleQueue()

    def work() -> None:
        ask = make()
        while (one := due.get()) is not None:
            at, kind = one
            went_well = ask(kind)
            times[kind].append(time.perf_counter() - at)
            if not went_well:
                next(failed)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(_WORKERS)]
    for worker in workers:
        worker.start()
    began, pause = time.perf_counter(), threading.Event()
    for number in range(int(rate * seconds)):
        at = began + number / rate
        if (rest := at - time.perf_counter()) > 0:
            pause.wait(rest)
        due.put((at, number % kinds))
    for _ in workers:
        due.put(None)
    for worker in workers:
        worker.join()
    return times, next(failed)


def milliseconds(times: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the highest, ms."""
    found = np.array(times) * 1000
    return {
        **{f"p{p}": round(float(np.percentile(found, p)), 1) for p in (50, 95, 99)},
        "max": round(float(found.max()), 1),
    }
