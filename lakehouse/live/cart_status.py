"""What a cart's status is: a function of its events' times and the watermark, whatever the order in which they became known.

- open: not bought, and the watermark is not yet past its last change and the patience (GLOBALMART_CART_ABANDON_MINUTES).
- abandoned: not bought, and the watermark is past that. A further change makes it open again, until the patience is over anew.
- purchased: a transaction names it, and before the first such transaction it was never left for longer than the patience.
- recovered: a transaction names it, and before that it was left for longer than the patience at least once.

A pause of exactly the patience is no abandonment. Only changes before the purchase count; what is late restates the status:
a late change may fill the pause of an abandoned or recovered cart, a late purchase makes an abandoned cart purchased.
A cart that was emptied counts like any other, with nothing at risk.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from lakehouse.live import columns as c
from lakehouse.live.columns import Ints
from lakehouse.live.state import Rows

STATUSES = ("open", "abandoned", "recovered", "purchased")
_OPEN, _ABANDONED, _RECOVERED, _PURCHASED = range(len(STATUSES))


def standing(rows: Rows, watermark: datetime | None, patience: int) -> tuple[NDArray[np.int8], Ints]:
    """(place in STATUSES, time in µs of the last abandonment before the purchase or NEVER) of each cart.

    `rows` has `purchased_at` and the list `spans`: the changes, joined where no more than `patience` (µs) lies between two, in order.
    """
    spans, purchased_at = rows.lists["spans"], rows["purchased_at"]
    is_bought = purchased_at != c.NEVER
    cart = spans.owners()
    counts = np.bincount(cart[spans.entries["from_at"] <= purchased_at[cart]], minlength=len(rows))
    last = c.offsets(spans.lengths)[:-1] + counts - 1

    now = c.LONG_AGO if watermark is None else c.micros_of(watermark)
    abandoned_at = np.full(len(rows), c.NEVER)
    several = np.flatnonzero(counts > 1)
    abandoned_at[several] = spans.entries["to_at"][last[several] - 1] + patience
    some = np.flatnonzero(counts > 0)
    given_up_at = spans.entries["to_at"][last[some]] + patience
    is_left = np.where(is_bought[some], purchased_at[some], now) > given_up_at
    abandoned_at[some[is_left]] = given_up_at[is_left]

    status = np.full(len(rows), _OPEN, dtype=np.int8)
    status[some[is_left]] = _ABANDONED
    status[is_bought] = np.where(abandoned_at[is_bought] == c.NEVER, _PURCHASED, _RECOVERED)
    return status, abandoned_at
