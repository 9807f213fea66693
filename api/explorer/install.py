"""Puts the explorer into the application: its pages and its files."""

from __future__ import annotations

from fastapi import FastAPI

from api.explorer import assets
from api.explorer.pages import (
    alerts,
    books,
    customers,
    dashboard,
    explore,
    health,
    inventory,
    live,
    products,
    quality,
    sql,
)

PAGES = (dashboard, live, explore, sql, customers, products, inventory, alerts, quality, books, health)


def install(app: FastAPI) -> None:
    app.include_router(assets.router)
    for pages in PAGES:
        app.include_router(pages.router)
