"""BG/NBD: how often customers will buy again, and whether they still do, from counts of customers with equal histories. No Spark here.

While alive a customer buys at random at a rate of its own, and after each purchase stops for good with a probability of its own; rates are
gamma, probabilities beta distributed over the customers. Fader, Hardie and Lee, "'Counting Your Customers' the Easy Way: An Alternative to
the Pareto/NBD Model", Marketing Science 24 (2005), http://brucehardie.com/papers/018/; P(alive) from Fader, Hardie and Lee, "Computing
P(alive) Using the BG/NBD Model" (2008), http://brucehardie.com/notes/021/.

A history is three whole numbers: `frequency` (purchases after the first), `recency` (days from the first to the last) and `age` (days from
the first until now). The likelihood knows no more of a customer, so ten million are fitted as some hundred thousand distinct histories, each
with its count. docs/adr/0007-lifetime-value-fit.md says why no library does it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import gammaln, hyp2f1

Whole = NDArray[np.int64]
Values = NDArray[np.float64]

# The prior of each parameter is log-normal around this value and as wide as a factor of e^2 each way: of no weight beside a thousand
# customers, but it keeps the fit of a young shop, in which nobody has come back yet, from running away. alpha is in days.
_PRIOR = {"r": 1.0, "alpha": 30.0, "a": 1.0, "b": 3.0}
_PRIOR_WIDTH = 2.0
_NEAR_ONE = 1e-6


@dataclass(frozen=True)
class Histories:
    """Distinct histories, and how many customers have each. All four arrays are of one length."""

    frequency: Whole
    recency: Whole
    age: Whole
    customers: Whole


@dataclass(frozen=True)
class PurchaseModel:
    """Rates are gamma with shape `r` and rate `alpha` (days), the probability to stop is beta with `a` and `b`."""

    r: float
    alpha: float
    a: float
    b: float


def fit(histories: Histories) -> PurchaseModel:
    """The most probable parameters; without customers those of the prior."""
    centre = np.log(list(_PRIOR.values()))
    total = max(int(histories.customers.sum()), 1)

    def cost(logs: Values) -> float:
        prior = -0.5 * float(np.sum(((logs - centre) / _PRIOR_WIDTH) ** 2))
        return -(log_likelihood(PurchaseModel(*np.exp(logs)), histories) + prior) / total

    # within e^-9 and e^9 of the prior: no real shop is outside, and there no term overflows
    bounds = [(at - 9, at + 9) for at in centre]
    found = minimize(cost, centre, method="L-BFGS-B", jac="3-point", bounds=bounds)
    return PurchaseModel(*(float(value) for value in np.exp(found.x)))


def log_likelihood(model: PurchaseModel, histories: Histories) -> float:
    """Log-likelihood of all customers together (equation 6 of the paper, in logarithms)."""
    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    x, recency, age = histories.frequency, histories.recency, histories.age
    if not len(x):
        return 0.0
    # each function is of one small whole number: computed once per number, then looked up
    number = np.arange(x.max() + 1)
    day = np.arange(age.max() + 1)
    of_x = gammaln(r + number) - gammaln(r) + r * np.log(alpha)
    of_x += gammaln(a + b) + gammaln(b + number) - gammaln(b) - gammaln(a + b + number)
    stopped_after = np.log(a) - np.log(b + np.maximum(number, 1) - 1)
    log_day = np.log(alpha + day)
    alive = -(r + x) * log_day[age]
    stopped = np.where(x > 0, stopped_after[x] - (r + x) * log_day[recency], -np.inf)
    return float(np.sum(histories.customers * (of_x[x] + np.logaddexp(alive, stopped))))


def p_alive(model: PurchaseModel, histories: Histories) -> Values:
    """Probability that a customer of each history still buys; 1 where there is no purchase after the first."""
    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    x = histories.frequency
    odds = a / (b + np.maximum(x, 1) - 1) * ((alpha + histories.age) / (alpha + histories.recency)) ** (r + x)
    return 1 / (1 + np.where(x > 0, odds, 0.0))


def expected_purchases(model: PurchaseModel, histories: Histories, days: int) -> Values:
    """Purchases to be expected of a customer of each history in the next `days` (equation 10 of the paper).

    Euler's transformation turns its hypergeometric function, whose value overflows for frequent buyers, into one of small parameters.
    """
    r, alpha, b = model.r, model.alpha, model.b
    # At a = 1, where a young shop's prior is, the formula is 0 / 0; so near to it, its value is that of the limit to six digits.
    a = model.a if abs(model.a - 1) > _NEAR_ONE else 1 + _NEAR_ONE
    x, age = histories.frequency, histories.age
    left = (alpha + age) / (alpha + age + days)
    unspent = left ** (a - 1) * hyp2f1(a + b - 1 - r, a - 1, a + b + x - 1, 1 - left)
    expected: Values = (a + b + x - 1) / (a - 1) * (1 - unspent) * p_alive(model, histories)
    return expected
