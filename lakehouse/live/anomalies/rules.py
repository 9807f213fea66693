"""Thresholds and words of the detectors: constants and formulas alone, so that every lane and the tests share one definition.

Three kinds need no state. Both lanes judge them, under the same id `finding_id(kind, event_id)`: the real-time lane in
`lakehouse.transforms.realtime`, the durable path in `lakehouse.live.confirm`, which `lakehouse.live.anomalies.view` holds.
An order gets one finding of a kind at most; where several lines qualify, the one with the highest score names the product.

- `price_mismatch`: a line's unit price is further from the catalogue's than the tolerance:
  100 x |price - catalogue price| > PRICE_TOLERANCE_PERCENT x catalogue price. Measure: the deviation in percent.
- `quantity_burst`: a line has at least QUANTITY_BURST_UNITS units. Measure: units.
- `amount_outlier`: total_amount >= AMOUNT_OUTLIER_FACTOR x usual amount, which is the sum over the order's lines of the median
  price in the line's category (the lower median, over the products of the catalogue as it is now). Measure: the quotient.

Score: 1 - threshold / (2 x measure), rounded down to three decimals: a half at the threshold, near 1 far beyond it.
A product that the catalogue does not know is not judged by price, an order with such a product not by amount.

The other kinds need what came before; the detectors beside this module judge them, in the durable path alone, and tell a pattern
that goes on once: not again of the same subject within its time of quiet.

- `amount_outlier`, the customer's side: an order that is usual for its customer is none. With n kept orders of the customer (the
  last KEPT_ORDERS within KEPT_DAYS), their median and scaled median absolute deviation (1.4826 x MAD, Rousseeuw and Croux
  1993) of ln(amount) are drawn to those of the categories, ln(usual amount) and PRIOR_SCALE, as if these were PRIOR_ORDERS orders
  more; the scale is never less than PRIOR_SCALE, as few orders may be alike by chance. Usual is what lies within CUSTOMER_SCALES
  scales. What lies beyond is an outlier from LESSER_FACTOR x usual amount on, where LESSER_ORDERS orders of the customer are kept.
- `purchase_burst`: PURCHASE_BURST_ORDERS orders of more than SMALL_CENTS of one customer within PURCHASE_MINUTES minutes.
- `card_testing`: CARD_TESTING_ORDERS payments by card of SMALL_CENTS at most of one customer within PURCHASE_MINUTES minutes.
- `impossible_travel`: an order and another order or view of the customer in two countries, nearer in time than an aircraft at
  MOST_KM_PER_HOUR would need between their main airports.
- `view_bot`: VIEW_BOT_VIEWS product views of one customer within two half minutes of the clock.
- `regional_drop`: a country's orders or views, over 1, 3 or 10 whole minutes, are below DROP_SHARE of what the other countries let
  expect, and so far below that chance would not do it: (expected - seen) / sqrt(DROP_DISPERSION x expected) >= DROP_SIGMAS, where
  at least DROP_LEAST_EXPECTED are expected. Expected: the country's median per minute of the hour before, times the median over the
  other countries of what they have now against their own.

Their score is made like the others', for `regional_drop` of expected against seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

from lakehouse.findings import Severity

PRICE_TOLERANCE_PERCENT = 2
QUANTITY_BURST_UNITS = 60  # above what two baskets of a bulk buyer hold of one product
AMOUNT_OUTLIER_FACTOR = 100

KEPT_ORDERS = 5
KEPT_DAYS = 90
PRIOR_ORDERS = 2
PRIOR_SCALE = 0.9
CUSTOMER_SCALES = 4.0
LESSER_FACTOR = 25
LESSER_ORDERS = 3

PURCHASE_BURST_ORDERS = 5  # in a flash sale few customers come back twice
CARD_TESTING_ORDERS = 5
SMALL_CENTS = 1_000  # card testers charge next to nothing, so as not to be noticed by the card's owner
PURCHASE_MINUTES = 3
VIEW_BOT_VIEWS = 25  # a person who looks at a page for three seconds sees twenty in a minute

MOST_KM_PER_HOUR = 1_000  # airliners cruise at about 900; the rest is margin for winds and a second airport
KM_BETWEEN = {
    ("US", "GB"): 5540, ("US", "DE"): 6189, ("US", "IN"): 11754, ("US", "BR"): 7664, ("GB", "DE"): 655,
    ("GB", "IN"): 6731, ("GB", "BR"): 9460, ("DE", "IN"): 6121, ("DE", "BR"): 9798, ("IN", "BR"): 14398,
}  # fmt: skip
"""Great circles between JFK, LHR, FRA, DEL and GRU on a sphere of radius 6371 km, from the coordinates that OurAirports publishes."""

DROP_SHARE = 0.5
DROP_SIGMAS = 5.0
DROP_DISPERSION = 3.0  # a visit is several views: counts vary by about this much more than a Poisson process
DROP_LEAST_EXPECTED = 30
DROP_WINDOWS = (1, 3, 10)  # minutes
DROP_BASE_MINUTES = (10, 60)  # fewest and most minutes before the window that tell what is usual


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
PURCHASE_BURST = Rule(
    "purchase_burst",
    "warning",
    "user_id",
    "Many purchases of {user_id} at once",
    "Customer {user_id} made {count} purchases within {minutes} minutes; from {threshold} on it is a burst.",
)
CARD_TESTING = Rule(
    "card_testing",
    "critical",
    "user_id",
    "Cards are being tested by {user_id}",
    "Customer {user_id} made {count} card payments of {largest} USD at most within {minutes} minutes; {threshold} are a test of cards.",
)
IMPOSSIBLE_TRAVEL = Rule(
    "impossible_travel",
    "critical",
    "user_id",
    "{user_id} was in two countries at once",
    "Customer {user_id} bought in {country} {minutes} minutes from being in {other_country}, {km} km away; a flight takes {needed} minutes.",
)
VIEW_BOT = Rule(
    "view_bot",
    "info",
    "user_id",
    "{user_id} views like a program",
    "Customer {user_id} viewed {count} products within a minute; from {threshold} on it is a bot.",
)
REGIONAL_DROP = Rule(
    "regional_drop",
    "critical",
    "country",
    "Far fewer {what} from {country}",
    "{country} had {seen} {what} in {minutes} minutes; by the other countries and the hour before {expected} were due.",
)
STATEFUL = (PURCHASE_BURST, CARD_TESTING, IMPOSSIBLE_TRAVEL, VIEW_BOT, REGIONAL_DROP)


def score(threshold: float, measure: float) -> float:
    """How sure: a half at the threshold, near 1 far beyond it. `measure` is at least `threshold`, and above 0."""
    return floor((1 - threshold / (2 * measure)) * 1000) / 1000
