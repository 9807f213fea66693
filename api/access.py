"""What a caller may see and do: decided once by who asks (`api.auth`, the pages' session), obeyed by every route and page.

How a route obeys it: it takes `AccessDep` (and `MaskDep` where it shows customers) from `api.deps`, is included with
`requires(Role…)`, filters by `access.countries_for(query.country)`, and writes user ids and e-mail addresses through the mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from api.errors import ForbiddenError


class Role(IntEnum):
    """Each role may do what those before it may. Viewers read, analysts ask their own questions, operators change, admins manage keys."""

    viewer = 1
    analyst = 2
    operator = 3
    admin = 4


@dataclass(frozen=True)
class Access:
    """The rights of one key.

    `countries` are those whose rows it sees, None for all; `sees_personal` that e-mail addresses and user ids are not masked.
    """

    key_id: str
    name: str
    role: Role
    countries: frozenset[str] | None = None
    sees_personal: bool = False

    def countries_for(self, asked: Sequence[str] = ()) -> list[str]:
        """The countries to filter by, sorted; empty means that no filter is needed.

        Without countries in the question a key for some is answered for these. Raises ForbiddenError where the question
        names another one.
        """
        if self.countries is None:
            return sorted(set(asked))
        others = sorted(set(asked) - self.countries)
        if others:
            raise ForbiddenError(f"This key sees {_words(self.countries)} only, not {', '.join(others)}.")
        if not self.countries:  # would read as no filter; keys like this cannot be issued
            raise ForbiddenError("This key sees no country at all.")
        return sorted(set(asked) or self.countries)

    def sees_country(self, country: str) -> bool:
        return self.countries is None or country in self.countries

    def need(self, role: Role) -> None:
        """Raises ForbiddenError where the key's role is below `role`."""
        if self.role < role:
            raise ForbiddenError(f"This needs a key of the role {role.name}; yours is {self.role.name}.")

    def need_all_countries(self) -> None:
        """For figures that cannot be told apart by country. Raises ForbiddenError where the key sees only some."""
        if self.countries is not None:
            raise ForbiddenError(
                f"These figures are of all countries together, and this key sees {_words(self.countries)} only."
            )

    @property
    def scope(self) -> str:
        """What decides which rows and values an answer has: belongs into its ETag, and into whatever answers are kept by."""
        countries = "*" if self.countries is None else ",".join(sorted(self.countries))
        return f"{countries}{'+personal' if self.sees_personal else ''}"


def _words(countries: frozenset[str]) -> str:
    return ", ".join(sorted(countries)) or "no country"
