"""`view_bot`: one customer views more products than a person can look at."""

from __future__ import annotations

from lakehouse.findings import Finding
from lakehouse.live.anomalies.facts import Visits
from lakehouse.live.anomalies.rules import VIEW_BOT, VIEW_BOT_VIEWS, score
from lakehouse.live.anomalies.saying import MINUTE, Saying
from lakehouse.live.anomalies.windows import WindowCounts
from lakehouse.live.columns import Ints

KEPT = 20 * MINUTE
"""How far behind the watermark views count; less than for purchases, as there are ten times as many."""
QUIET = 30 * MINUTE


class ViewBot:
    """Views by customer and half minute."""

    def __init__(self) -> None:
        self._counts = WindowCounts(MINUTE // 2, 2, VIEW_BOT_VIEWS)

    def add(self, views: Visits, since: int) -> tuple[Ints, Ints]:
        """Count views; (row, count) of those that fill a window. `since` is the watermark before them."""
        reached = self._counts.add(views.user, views.at, since - KEPT)
        return reached.rows, reached.counts

    def judge(self, views: Visits, since: int, saying: Saying) -> list[Finding]:
        """Count the batch's views; `since` is the watermark before it."""
        found = []
        for row, count in zip(*(column.tolist() for column in self.add(views, since)), strict=True):
            values = {"count": str(count), "threshold": str(VIEW_BOT_VIEWS)}
            evidence = {
                "count": count,
                "session_id": views.text("session_id", row),
                "threshold": VIEW_BOT_VIEWS,
            }
            found += saying.once(VIEW_BOT, views, row, QUIET, score(VIEW_BOT_VIEWS, count), values, evidence)
        return found
