"""GET /v1/anomalies: what the detectors found, as it is found."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from api.resources import Filter, Resource, add
from api.resources.kinds import COUNTRY, PRODUCT, USER, period
from lakehouse.tables import ANOMALIES

router = APIRouter()
add(
    router,
    Resource(
        "/v1/anomalies",
        "anomalies",
        ANOMALIES,
        "operations",
        "Anomalies",
        "Findings of the last seven days, newest first: which detector, how sure, about what, and why. A finding may be raised, "
        "then confirmed or retracted: one row for each. A key for some countries sees findings about these only.",
        ("-detected_at",),
        (
            *period("detected_at", "Found"),
            Filter("detector", "detector", str, "Only these detectors.", "amount_outlier"),
            Filter("verdict", "verdict", Literal["raised", "confirmed", "retracted"], "Only this verdict.", "raised"),
            COUNTRY,
            USER,
            PRODUCT,
            Filter("min_score", "score", float, "At least so sure, 0 to 1.", 0.5, ">="),
        ),
        country="country",
        users=("user_id",),
        texts=("explanation", "evidence"),
    ),
)
