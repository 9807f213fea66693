"""The gate of the anomaly detectors: on runs that nothing was tuned with they find what was injected, and little else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingestion.scorecard import DETECTORS, TEST_SEEDS, TUNING_SEEDS, Tally, score
from ingestion.scored_runs import Scenario, scenarios
from ingestion.shares import Shares

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1_200)]


def test_detectors_reach_their_aims_on_unseen_seeds() -> None:
    assert not set(TEST_SEEDS) & set(TUNING_SEEDS)
    assert len(TEST_SEEDS) == 3
    scores = {one.detector: one for one in score(TEST_SEEDS, say=print)}
    overall, naive = scores.pop("overall"), scores.pop("naive")
    weak = {name: round(one.f1, 3) for name, one in scores.items() if one.f1 < 0.75}
    assert overall.f1 >= 0.9
    assert weak == {}
    assert overall.seconds is not None
    assert overall.seconds < 5
    assert overall.f1 > 2 * naive.f1
    assert all(one.anomaly_count >= 4 for one in scores.values())


@pytest.fixture(scope="module")
def short() -> Scenario:
    """Half a minute of live traffic in which every second order is odd."""
    scenario = scenarios(7)[1]
    options = replace(scenario.options, seconds=30.0, rate=200.0, shares=Shares(anomalies=1.0))
    return replace(scenario, options=options)


def test_each_anomaly_is_found_or_not_and_each_finding_right_wrong_or_about_another(short: Scenario) -> None:
    tally = Tally()
    findings, anomalies = tally.run(short)
    scores = {one.detector: one for one in tally.scores()}
    assert list(scores) == [*DETECTORS, "overall", "naive"]
    assert sum(scores[name].anomaly_count for name in DETECTORS) == len(anomalies) == scores["overall"].anomaly_count
    assert scores["overall"].found_count == sum(one.found_at is not None for one in anomalies) > 20
    assert len(findings) >= scores["overall"].found_count + scores["overall"].false_count
    assert all(one.found_at is None or one.found_at >= one.began_at for one in anomalies)


def test_a_scoring_repeats(short: Scenario) -> None:
    one, other = Tally(), Tally()
    assert one.run(short)[0] == other.run(short)[0]
    assert one.scores() == other.scores()
