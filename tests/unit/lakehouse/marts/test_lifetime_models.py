"""The two lifetime models: published figures, the likelihoods by numerical integration, and parameters found again in simulated customers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import gammaln, hyp2f1, roots_jacobi
from scipy.stats import gamma as gamma_distribution

from lakehouse.marts import purchase_model, spend_model
from lakehouse.marts.purchase_model import Histories, PurchaseModel
from lakehouse.marts.spend_model import Spending, SpendModel

# What the paper fits to the CDNOW customers, in weeks
CDNOW = PurchaseModel(r=0.243, alpha=4.414, a=0.793, b=2.426)
IN_DAYS = PurchaseModel(r=0.243, alpha=4.414 * 7, a=0.793, b=2.426)


def histories(*rows: tuple[int, int, int, int]) -> Histories:
    return Histories(*np.array(rows, np.int64).reshape(-1, 4).T)


def test_the_papers_customer_is_expected_to_buy_1226_times_per_thousand() -> None:
    # Fader, Hardie and Lee's worked example: x = 2, t_x = 30.43 and T = 38.86 weeks, the next 39 weeks
    found = purchase_model.expected_purchases(IN_DAYS, histories((2, 213, 272, 1)), 39 * 7)
    assert found == pytest.approx([1.226], abs=0.0005)


def test_the_likelihood_is_the_integral_over_all_rates_and_probabilities() -> None:
    nodes, raw = roots_jacobi(
        20, 1.5, 0.2
    )  # the weight (1 - t)^1.5 (1 + t)^0.2 is that of beta(1.2, 2.5) over p = (1 + t) / 2
    p, weights = (1 + nodes) / 2, raw / raw.sum()
    for x, recency, age in ((0, 0, 20), (0, 0, 0), (1, 6, 20), (1, 20, 20), (4, 15, 20), (3, 0, 0)):
        going_on = float(weights @ (1 - p) ** x)
        stopping = float(weights @ (p * (1 - p) ** (x - 1))) if x else 0.0

        def of_one(
            rate: float,
            x: int = x,
            recency: int = recency,
            age: int = age,
            going_on: float = going_on,
            stopping: float = stopping,
        ) -> float:
            alive, stopped = going_on * np.exp(-rate * age), stopping * np.exp(-rate * recency)
            return float((alive + stopped) * rate**x * gamma_distribution.pdf(rate, 1.5, scale=1 / 4.0))

        integral, _ = quad(of_one, 0, np.inf, epsabs=1e-14, epsrel=1e-10)
        model = PurchaseModel(1.5, 4.0, 1.2, 2.5)
        found = purchase_model.log_likelihood(model, histories((x, recency, age, 3)))
        assert found == pytest.approx(3 * np.log(integral), rel=1e-6, abs=1e-8)


def test_expected_purchases_follow_the_papers_equation_and_do_not_overflow_for_frequent_buyers() -> None:
    r, alpha, a, b = CDNOW.r, CDNOW.alpha, CDNOW.a, CDNOW.b
    given = histories((0, 0, 30, 1), (0, 0, 0, 1), (1, 1, 30, 1), (2, 30, 38, 1), (9, 38, 38, 1))
    x, recency, age, t = given.frequency, given.recency, given.age, 39
    ratio = (alpha + age) / (alpha + age + t)
    numerator = (
        (a + b + x - 1) / (a - 1) * (1 - ratio ** (r + x) * hyp2f1(r + x, b + x, a + b + x - 1, t / (alpha + age + t)))
    )
    odds = np.where(x > 0, a / (b + np.maximum(x, 1) - 1) * ((alpha + age) / (alpha + recency)) ** (r + x), 0)
    assert purchase_model.p_alive(CDNOW, given) == pytest.approx(1 / (1 + odds))
    assert purchase_model.expected_purchases(CDNOW, given, t) == pytest.approx(numerator / (1 + odds))
    daily = purchase_model.expected_purchases(IN_DAYS, histories((3_000, 3_000, 3_000, 1), (3_000, 10, 3_000, 1)), 90)
    assert np.isfinite(daily).all()
    assert 80 < daily[0] < 91
    assert 0 <= daily[1] < 1e-6


def test_the_parameters_of_simulated_customers_are_found_again() -> None:
    true = PurchaseModel(r=0.8, alpha=40.0, a=0.9, b=4.0)
    found = purchase_model.fit(simulated(np.random.default_rng(7), true, 60_000))
    for name, tolerance in (("r", 0.05), ("alpha", 0.05), ("a", 0.1), ("b", 0.15)):
        assert getattr(found, name) == pytest.approx(getattr(true, name), rel=tolerance)


def test_the_fit_knows_only_counts_and_not_their_order() -> None:
    given = simulated(np.random.default_rng(8), IN_DAYS, 500)
    doubled = Histories(given.frequency, given.recency, given.age, 2 * given.customers)
    twice = Histories(*(np.concatenate([v, v]) for v in vars(given).values()))
    assert vars(purchase_model.fit(doubled)) == pytest.approx(vars(purchase_model.fit(twice)), rel=1e-3)


@pytest.mark.parametrize("rows", [[], [(0, 0, 0, 1)], [(0, 0, 9, 5)], [(1, 0, 0, 1)], [(300, 365, 365, 1)]])
def test_a_young_shop_gets_finite_predictions(rows: list[tuple[int, int, int, int]]) -> None:
    model = purchase_model.fit(histories(*rows))
    predicted = purchase_model.expected_purchases(model, histories((0, 0, 5, 1), (2, 3, 5, 1)), 90)
    assert np.all(np.isfinite(predicted) & (predicted >= 0) & (predicted <= 90))


def test_where_the_formula_is_nothing_by_nothing_its_limit_is_expected() -> None:
    given = histories((0, 0, 5, 1), (2, 3, 5, 1), (9, 38, 38, 1))
    at, below, above = (
        purchase_model.expected_purchases(PurchaseModel(0.9, 35.0, a, 3.0), given, 90) for a in (1.0, 0.999, 1.001)
    )
    assert at == pytest.approx((below + above) / 2, rel=1e-5)


def test_the_spend_likelihood_is_the_mixture_of_gammas() -> None:
    # x purchases of gamma(p, rate): their mean is gamma(p x, rate x); the rate is gamma(q, v)
    p, q, v = 2.0, 3.5, 40.0
    rates = np.linspace(1e-6, 2, 400_001)
    density = np.exp(q * np.log(v) - gammaln(q) + (q - 1) * np.log(rates) - v * rates)
    for x, mean in ((1, 10.0), (3, 35.5)):
        integral = np.trapezoid(density * gamma_distribution.pdf(mean, p * x, scale=1 / (rates * x)), rates)
        found = spend_model.log_likelihood(
            SpendModel(p, q, v), Spending(np.array([x]), np.array([mean]), np.array([2]))
        )
        assert found == pytest.approx(2 * np.log(integral), rel=1e-6)


def test_the_spend_parameters_of_simulated_customers_are_found_again() -> None:
    rng = np.random.default_rng(9)
    purchases = rng.integers(1, 12, 60_000)
    means = rng.gamma(6.0 * purchases, 1 / (rng.gamma(4.0, 1 / 15.0, 60_000) * purchases))
    found = spend_model.fit(Spending(purchases, means, np.ones(60_000, np.int64)))
    assert (found.p, found.q, found.v) == pytest.approx((6.0, 4.0, 15.0), rel=0.06)
    assert found.population_mean == pytest.approx(30.0, rel=0.02)


def test_without_a_spend_the_prior_speaks() -> None:
    empty = np.array([], np.int64)
    found = spend_model.fit(Spending(empty, empty.astype(float), empty))
    assert found.population_mean == pytest.approx(1.0)
    one = spend_model.fit(Spending(np.array([1]), np.array([25.0]), np.array([1])))
    assert 10 < one.population_mean < 100


def simulated(rng: np.random.Generator, model: PurchaseModel, customers: int, days: int = 730) -> Histories:
    """Customers who began on a random day of `days`, with purchases on distinct days."""
    rate = rng.gamma(model.r, 1 / model.alpha, customers)
    stop = rng.beta(model.a, model.b, customers)
    age = rng.integers(1, days, customers)
    frequency, recency = np.zeros(customers, np.int64), np.zeros(customers)
    now: NDArray[np.float64] = np.zeros(customers)
    alive = np.ones(customers, bool)
    while alive.any():
        now = now + rng.exponential(1 / np.maximum(rate, 1e-12))
        alive &= now < age
        frequency, recency = frequency + alive, np.where(alive, now, recency)
        alive &= rng.random(customers) > stop
    counts = Counter(zip(frequency.tolist(), np.rint(recency).astype(int).tolist(), age.tolist(), strict=True))
    return histories(*((*history, n) for history, n in counts.items()))
