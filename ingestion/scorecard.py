"""The scorecard of the detectors: runs made in process, the anomaly view over them in micro-batches, and the truth beside its findings.

What a detector finds counts as right where the event belongs to an anomaly of its kind, as wrong where it is ordinary. A finding
about an anomaly of another kind is neither, and is counted apart. An anomaly of several events is found with any of them, or with
another event of its customer among them: a detector of bursts names the last event that it saw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from ingestion import silver_rows
from ingestion.scored_runs import Anomaly, Scenario, Truth, batches, scenarios
from ingestion.source import Source
from ingestion.topics import INPUT_NAMES
from ingestion.world import World
from lakehouse.catalogue import Catalogue
from lakehouse.findings import Finding
from lakehouse.live.anomalies.rules import STATEFUL, STATELESS
from lakehouse.live.anomalies.view import AnomaliesView
from lakehouse.live.base import Batch
from lakehouse.tables import PRODUCTS

TUNING_SEEDS = (1, 2, 3)
"""Seeds that thresholds were chosen with."""
TEST_SEEDS = (101, 102, 103)
"""Seeds that nothing was chosen with; the gate is about these."""
DETECTORS = tuple(rule.kind for rule in (*STATELESS, *STATEFUL))


@dataclass(frozen=True)
class Score:
    """One detector's counts. `seconds` is the median time from the event that a right finding names to the start of the
    micro-batch that found it, in the live run; None where it found nothing there."""

    detector: str
    anomaly_count: int
    found_count: int
    false_count: int
    crossed_count: int
    seconds: float | None

    @property
    def precision(self) -> float:
        said = self.found_count + self.false_count
        return self.found_count / said if said else 1.0

    @property
    def recall(self) -> float:
        return self.found_count / self.anomaly_count if self.anomaly_count else 1.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


class Tally:
    """Counts over the runs of several seeds."""

    def __init__(self) -> None:
        self.anomalies: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.false: Counter[str] = Counter()
        self.crossed: Counter[str] = Counter()
        self.seconds: dict[str, list[float]] = {name: [] for name in DETECTORS}
        self.naive: Counter[str] = Counter()
        self.order_count = 0
        self.odd_order_count = 0

    def run(self, scenario: Scenario) -> tuple[list[Finding], list[Anomaly]]:
        """Score one run; its findings, right and wrong, and its anomalies, found and not."""
        source = Source(scenario.options, dict.fromkeys(INPUT_NAMES, 1))
        view = AnomaliesView()
        at = datetime.fromtimestamp(scenario.options.start_ms / 1000, UTC)
        products = silver_rows.catalogue(World(scenario.options.seed), scenario.options.start_ms)
        view.apply(Batch(0, at, {PRODUCTS.path: products}, None, Catalogue()))
        truth = Truth()
        findings: list[Finding] = []
        for batch in batches(scenario, source, truth):
            findings += view.apply(batch).findings
        truth.add_drops()
        self._count(truth, findings, scenario.options.mode == "live")
        return findings, list(truth.anomalies.values())

    def _count(self, truth: Truth, findings: list[Finding], is_live: bool) -> None:
        for finding in findings:
            anomaly = truth.of(finding)
            if anomaly is None:
                self.false[finding.kind] += 1
            elif anomaly.kind != finding.kind:
                self.crossed[finding.kind] += 1
            elif anomaly.found_at is None:
                anomaly.found_at = finding.detected_at
                if is_live:
                    self.seconds[finding.kind].append((finding.detected_at - finding.event_at).total_seconds())
        for anomaly in truth.anomalies.values():
            self.anomalies[anomaly.kind] += 1
            self.found[anomaly.kind] += anomaly.found_at is not None
        self.order_count += len(truth.amounts)
        self.odd_order_count += truth.odd_order_count
        self.naive += truth.naive()

    def scores(self) -> list[Score]:
        """One for each detector and, last, `overall` and the `naive` baseline: orders above the mean amount plus three
        standard deviations of the run."""
        rows = [
            Score(
                name,
                self.anomalies[name],
                self.found[name],
                self.false[name],
                self.crossed[name],
                median(self.seconds[name]) if self.seconds[name] else None,
            )
            for name in DETECTORS
        ]
        seconds = [one for name in DETECTORS for one in self.seconds[name]]
        total = self.anomalies.total()
        overall = Score(
            "overall",
            total,
            self.found.total(),
            self.false.total(),
            self.crossed.total(),
            median(seconds) if seconds else None,
        )
        naive = Score("naive", total, self.naive["found"], self.naive["false"], 0, None)
        return [*rows, overall, naive]


def score(seeds: Iterable[int], say: Callable[[str], None]) -> list[Score]:
    """The scores of the detectors over the runs of all `seeds`; `say` is told of each run that is done."""
    tally = Tally()
    for seed in seeds:
        for scenario in scenarios(seed):
            findings, anomalies = tally.run(scenario)
            found = sum(one.found_at is not None for one in anomalies)
            say(f"seed {seed}, {scenario.name}: {found} of {len(anomalies)} anomalies, {len(findings)} findings")
    return tally.scores()
