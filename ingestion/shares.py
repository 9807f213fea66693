"""How large a share of the records each injected fault strikes, and the bounds of these shares."""

from __future__ import annotations

from dataclasses import dataclass, fields

from lakehouse.errors import GlobalMartError


class FaultShareError(GlobalMartError):
    """The fault shares asked for make no sense."""


@dataclass(frozen=True)
class Shares:
    """Share of records, 0 to 1, that each fault strikes; `anomalies` is a share of transactions (0.005 is hard enough), of which
    each burst takes several, and with it regional drops come. They add up to 1 at most."""

    duplicates: float = 0.0
    conflicts: float = 0.0
    late: float = 0.0
    skew: float = 0.0
    malformed: float = 0.0
    violations: float = 0.0
    extra_fields: float = 0.0
    anomalies: float = 0.0

    def __post_init__(self) -> None:
        """Raises FaultShareError."""
        for field in fields(self):
            share = getattr(self, field.name)
            if not 0 <= share <= 1:
                raise FaultShareError(
                    f"--{field.name.replace('_', '-')} is {share:g}; a share lies between 0 and 1, as in 0.01 for one record in a hundred."
                )
        total = sum(getattr(self, field.name) for field in fields(self))
        if total > 1 + 1e-9:
            raise FaultShareError(
                f"The fault shares add up to {total:g}; together they may be 1 at most, as a record has one fault."
            )
