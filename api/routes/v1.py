"""All routes under /v1, each with the rights that its callers need."""

from __future__ import annotations

from fastapi import APIRouter

from api.access import Role
from api.deps import requires
from api.routes import (
    alerts,
    anomalies,
    books,
    customers,
    inventory,
    live,
    one,
    orders,
    products,
    rates,
    results,
    rfm,
    sales,
    trends,
    visits,
)

router = APIRouter()
for seen_by_country in (sales, orders, trends, products, customers, visits, inventory, anomalies, live):
    router.include_router(seen_by_country.router, dependencies=[requires(Role.viewer)])
# Nothing tells these figures apart by country.
for of_all in (rfm, rates, books, results):
    router.include_router(of_all.router, dependencies=[requires(Role.viewer, all_countries=True)])
# These say for each route whom it is for.
for own in (one, alerts):
    router.include_router(own.router)
