"""Gamma-Gamma: what a customer spends per purchase, from how often and how much so far. No Spark here.

What a customer spends varies around a mean of its own, as a gamma; the means vary over the customers, as an inverse gamma; neither goes with
how often the customer buys. Fader and Hardie, "The Gamma-Gamma Model of Monetary Value" (2013), http://brucehardie.com/notes/025/.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import gammaln

Whole = NDArray[np.int64]
Values = NDArray[np.float64]

_PRIOR_WIDTH = 2.0  # as in `lakehouse.marts.purchase_model`: log-normal, for a shop with hardly a customer


@dataclass(frozen=True)
class Spending:
    """Distinct pairs of `purchases` (at least 1) and mean spend (USD, above 0), and how many customers have each."""

    purchases: Whole
    mean_spend: Values
    customers: Whole


@dataclass(frozen=True)
class SpendModel:
    """Spend per purchase is gamma with shape `p` and a rate of the customer's own, which is gamma with shape `q` and rate `v` (USD)."""

    p: float
    q: float
    v: float

    @property
    def population_mean(self) -> float:
        """What a customer nothing is known of spends per purchase, USD."""
        return self.p * self.v / (self.q - 1)


def fit(spending: Spending) -> SpendModel:
    """The most probable parameters with `q` above 1, below which there is no mean; without customers those of the prior, around 1 USD."""
    total = max(int(spending.customers.sum()), 1)
    typical = float(np.sum(spending.customers * spending.mean_spend)) / total or 1.0
    centre = np.log([2.0, 2.0, typical])  # p, q - 1 and v: a mean of p v / (q - 1) = typical

    def model(logs: Values) -> SpendModel:
        p, above_1, v = np.exp(logs)
        return SpendModel(float(p), float(1 + above_1), float(v))

    def cost(logs: Values) -> float:
        prior = -0.5 * float(np.sum(((logs - centre) / _PRIOR_WIDTH) ** 2))
        return -(log_likelihood(model(logs), spending) + prior) / total

    bounds = [(at - 9, at + 9) for at in centre]
    return model(minimize(cost, centre, method="L-BFGS-B", jac="3-point", bounds=bounds).x)


def log_likelihood(model: SpendModel, spending: Spending) -> float:
    """Log-likelihood of all customers together (equation 1a of the note, in logarithms)."""
    p, q, v = model.p, model.q, model.v
    x, mean = spending.purchases, spending.mean_spend
    terms = gammaln(p * x + q) - gammaln(p * x) - gammaln(q) + q * np.log(v)
    terms += (p * x - 1) * np.log(mean) + p * x * np.log(x) - (p * x + q) * np.log(v + x * mean)
    return float(np.sum(spending.customers * terms))
