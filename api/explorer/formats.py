"""How figures, times and words are written on pages. Nothing here rounds money: it is shown to the cent, or shortened with its unit."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from api.explorer.charts.measures import measure
from lakehouse.countries import COUNTRIES

NONE = "–"
_STEPS = ((Decimal(10) ** 9, "B"), (Decimal(10) ** 6, "M"), (Decimal(10) ** 3, "k"))


def money(amount: Decimal | int | None) -> str:
    """USD to the cent, `$1,234.50`; a dash for None."""
    if amount is None:
        return NONE
    sign = "-" if amount < 0 else ""
    return f"{sign}${abs(Decimal(amount)):,.2f}"


def short_money(amount: Decimal | int | None) -> str:
    """USD with three or four digits and a unit from 10,000 on, `$1.23M`; below that to the cent."""
    if amount is None:
        return NONE
    sign, amount = ("-" if amount < 0 else ""), abs(Decimal(amount))
    if amount < 10_000:
        return f"{sign}${amount:,.2f}"
    step, unit = next((step, unit) for step, unit in _STEPS if amount >= step)
    digits = 2 if amount / step < 10 else 1
    return f"{sign}${(amount / step).quantize(Decimal(10) ** -digits, ROUND_HALF_UP)}{unit}"


def count(value: int | float | Decimal | None, digits: int = 0) -> str:
    return NONE if value is None else f"{value:,.{digits}f}"


def percent(share: float | Decimal | None, digits: int = 1) -> str:
    """A share as `12.3%`."""
    return NONE if share is None else f"{float(share) * 100:.{digits}f}%"


def change(share: float | Decimal | None) -> str:
    """A growth as `+12.3%` or `−4.0%`."""
    if share is None:
        return NONE
    text = f"{abs(float(share)) * 100:.1f}%"
    if text == "0.0%":
        return text
    return ("+" if share > 0 else "−") + text


def moment(value: datetime | None) -> str:
    """A time as `14 Mar 2026, 09:05:07 UTC`; one without zone is UTC."""
    return NONE if value is None else f"{_utc(value):%-d %b %Y, %H:%M:%S} UTC"


def minute(value: datetime | None) -> str:
    return NONE if value is None else f"{_utc(value):%-d %b %Y, %H:%M}"


def day(value: date | None) -> str:
    return NONE if value is None else f"{value:%-d %b %Y}"


def iso(value: date | datetime) -> str:
    """For `datetime` attributes and links."""
    return _utc(value).isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value.isoformat()


def country(code: str | None) -> str:
    """The country's name; `all` and unknown codes as they are."""
    return COUNTRIES[code].name if code in COUNTRIES else code or NONE


def words(name: str | None) -> str:
    """A name of the platform in words: `potential_loyalists` becomes `Potential loyalists`."""
    text = (name or NONE).replace("_", " ")
    return text[:1].upper() + text[1:]


def cell(value: Any, column: str) -> str:
    """A value of a table, by the kind of its column (`charts.measures`): money to the cent, shares in percent, names in words."""
    if value is None:
        return NONE
    if isinstance(value, datetime):
        return minute(value) if value.time() != time() or column != "day" else day(value)
    if isinstance(value, date):
        return day(value)
    if column == "country":
        return country(value)
    if column in {"segment", "payment_method", "status", "detector"}:
        return words(value)
    if isinstance(value, bool | str):
        return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else value
    kind = measure(column).kind
    if isinstance(value, Decimal) or kind == "money":
        return money(Decimal(value))
    if kind == "share":
        return percent(value)
    return count(value) if float(value).is_integer() else count(value, 2)


def is_numeric(kind: str) -> bool:
    """Whether a type of DuckDB is a number, which tables set to the right."""
    return kind.startswith(
        ("DECIMAL", "BIGINT", "INTEGER", "DOUBLE", "FLOAT", "HUGEINT", "SMALLINT", "UBIGINT", "UINTEGER")
    )


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


FILTERS = {
    "money": money,
    "short_money": short_money,
    "count": count,
    "percent": percent,
    "change": change,
    "moment": moment,
    "minute": minute,
    "day": day,
    "iso": iso,
    "country": country,
    "words": words,
    "cell": cell,
}
