"""The mirror made anew from gold, for the command and for Dagster: table by table, and without what no table is declared for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from api.mirror.follow import Mirror
from api.mirror.plan import Mirrored, mirrored
from api.mirror.target import Shown, Target
from lakehouse.settings import Settings


@dataclass(frozen=True)
class Rebuilt:
    """One table of gold, and what the mirror shows of it now; None where gold does not have it yet."""

    mirrored: Mirrored
    shown: Shown | None


def rebuild(settings: Settings, tables: Iterable[Mirrored]) -> Iterator[Rebuilt]:
    """Load each of the tables anew, and yield it once it is done; readers see the old rows until the new ones are complete.

    `settings` are those of the serving service. Raises ServingError for the first that cannot be loaded.
    """
    for one in tables:
        yield Rebuilt(one, Mirror(settings, [one]).rebuild().get(one.table.path))


def drop_undeclared(settings: Settings) -> list[str]:
    """Drop the tables of the mirror that gold does not declare (any more); their names. Raises MirrorError."""
    with Target(settings) as target:
        target.prepare()
        with target.transaction():
            return target.forget_others(mirrored(settings))
