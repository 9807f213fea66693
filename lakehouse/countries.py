"""The countries of operation and their clocks: the one place for both the platform and the generator.

A country with several zones (US, BR) keeps the business clock of its largest market. Codes are ISO 3166-1 alpha-2, currencies ISO 4217,
zones of the IANA database, world regions the sub-regions of UN M49 ("region" alone means country here).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Country:
    """What describes a country; `currency` is its own, prices are in USD everywhere."""

    name: str
    currency: str
    time_zone: str
    world_region: str


COUNTRIES: dict[str, Country] = {
    "US": Country("United States", "USD", "America/New_York", "Northern America"),
    "GB": Country("United Kingdom", "GBP", "Europe/London", "Northern Europe"),
    "DE": Country("Germany", "EUR", "Europe/Berlin", "Western Europe"),
    "IN": Country("India", "INR", "Asia/Kolkata", "Southern Asia"),
    "BR": Country("Brazil", "BRL", "America/Sao_Paulo", "South America"),
}
TIME_ZONES: dict[str, str] = {code: country.time_zone for code, country in COUNTRIES.items()}
