"""The countries of operation and their clocks: the one place for both the platform and the generator.

A country with several zones (US, BR) keeps the business clock of its largest market.
"""

from __future__ import annotations

TIME_ZONES: dict[str, str] = {
    "US": "America/New_York",
    "GB": "Europe/London",
    "DE": "Europe/Berlin",
    "IN": "Asia/Kolkata",
    "BR": "America/Sao_Paulo",
}
