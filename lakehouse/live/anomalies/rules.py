"""Thresholds and words of the detectors: constants and formulas alone, so that every lane and the tests share one definition.

Three kinds need no state. Both lanes judge them, under the same id `finding_id(kind, event_id)`: the real-time lane in
`lakehouse.transforms.realtime`, the durable path in `lakehouse.live.confirm`, and no other view says these kinds.
An order gets one finding of a kind at most; where several lines qualify, the one with the highest score names the product.

- `price_mismatch`: a line's unit price is further from the catalogue's than the tolerance:
  100 x |price - catalogue price| > PRICE_TOLERANCE_PERCENT x catalogue price. Measure: the deviation in percent.
- `quantity_burst`: a line has at least QUANTITY_BURST_UNITS units. Measure: units.
- `amount_outlier`: total_amount >= AMOUNT_OUTLIER_FACTOR x usual amount, which is the sum over the order's lines of the median
  price in the line's category (the lower median, over the products of the catalogue as it is now). Measure: the quotient.

Score: 1 - threshold / (2 x measure), rounded down to three decimals: a half at the threshold, near 1 far beyond it.
A product that the catalogue does not know is not judged by price, an order with such a product not by amount.
"""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse.findings import Severity

PRICE_TOLERANCE_PERCENT = 2
QUANTITY_BURST_UNITS = 60  # above what two baskets of a bulk buyer hold of one product
AMOUNT_OUTLIER_FACTOR = 100


@dataclass(frozen=True)
class Rule:
    """What is said where a rule strikes. `title` and `detail` are templates; each braced name is a value of the finding.

    `grouped_by` is the field that findings of this kind share as their fingerprint, `kind|value`.
    """

    kind: str
    severity: Severity
    grouped_by: str
    title: str
    detail: str


PRICE_MISMATCH = Rule(
    "price_mismatch",
    "warning",
    "product_id",
    "Price of {product_id} differs from the catalogue",
    "{product_id} was sold at {price} USD; the catalogue says {catalogue_price} USD.",
)
QUANTITY_BURST = Rule(
    "quantity_burst",
    "warning",
    "product_id",
    "{quantity} units of {product_id} in one order",
    "Customer {user_id} bought {quantity} units of {product_id} in one order; from {threshold} on it is a burst.",
)
AMOUNT_OUTLIER = Rule(
    "amount_outlier",
    "critical",
    "user_id",
    "An order over {total_amount} USD",
    "Customer {user_id} paid {total_amount} USD; the same lines come to {usual_amount} USD at the median prices of their categories.",
)
STATELESS = (PRICE_MISMATCH, QUANTITY_BURST, AMOUNT_OUTLIER)
