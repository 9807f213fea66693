"""What who watches a simulation sees: a bar over the simulated time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


@dataclass(frozen=True)
class View:
    """How far a simulation is. `lag`: records that wait for the stream, None where that is not known."""

    done: float
    at: datetime
    sent_count: int
    lag: int | None
    day_count: int


Show = Callable[[View], None]


@contextmanager
def bar(console: Console) -> Iterator[Show]:
    """A bar once there is something to show; nothing where nobody watches."""
    columns = (
        TextColumn("{task.description:<16}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[sent]:>9,} sent  {task.fields[lag]:>7} waiting  {task.fields[days]} days made"),
        TimeRemainingColumn(),
    )
    progress = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
    task = progress.add_task("", total=1.0, sent=0, lag="", days=0)

    def show(view: View) -> None:
        progress.start()
        progress.update(
            task,
            description=f"{view.at:%Y-%m-%d %H:%M}",
            completed=view.done,
            sent=view.sent_count,
            lag="?" if view.lag is None else f"{view.lag:,}",
            days=view.day_count,
        )

    try:
        yield show
    finally:
        progress.stop()
