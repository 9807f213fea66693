"""The shop's world: users and products as pure functions of (seed, id), vectorised, with no state and no clock.

Any user or product is computable alone, and an array of ids gives exactly what the ids give one by one.
Money is integer cents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ingestion.hashing import Floats, Ints, below, digit_chars, key64, normal, slices, uniform
from ingestion.vocabulary import CATEGORIES, COUNTRIES, adjectives, brands, person_names

USER_COUNT = 10_000_000
PRODUCT_COUNT = 250_000
CATEGORY_COUNT = len(CATEGORIES)
PRODUCTS_PER_CATEGORY = PRODUCT_COUNT // CATEGORY_COUNT

_YEAR_2018_MS = 1_514_764_800_000
_YEAR_2025_MS = 1_735_689_600_000
_NEW_CUSTOMER_SHARE = 0.2
_BULK_BUYER_SHARE = 0.01
# Popularity: a product of rank r within its category draws views in proportion to (r + 1) ** -exponent.
_PRODUCT_EXPONENT = 0.85
_CATEGORY_EXPONENT = 0.7


@dataclass(frozen=True)
class World:
    """Users `0 .. USER_COUNT - 1` and products `0 .. PRODUCT_COUNT - 1` of one seed."""

    seed: int

    def _key(self, name: str) -> int:
        return key64("world", self.seed, name)

    # ---- users -------------------------------------------------------------------------------------------------

    @property
    def _user_shuffle(self) -> tuple[int, int]:
        """(a, b) of the bijection rank -> id = (a * rank + b) mod USER_COUNT; a is coprime to USER_COUNT."""
        key = self._key("user shuffle")
        multiplier = 10 * (key % 400_000) + 3_000_001 + 2 * (key % 5 == 0)
        return multiplier, (key >> 24) % USER_COUNT

    def user_of_rank(self, ranks: npt.ArrayLike) -> Ints:
        """Ids of the users of these ranks of activity. The first N ranks are the active users at a share of N."""
        a, b = self._user_shuffle
        return np.asarray((np.asarray(ranks, dtype=np.int64) * a + b) % USER_COUNT)

    def rank_of_user(self, users: npt.ArrayLike) -> Ints:
        a, b = self._user_shuffle
        return np.asarray((np.asarray(users, dtype=np.int64) - b) % USER_COUNT * pow(a, -1, USER_COUNT) % USER_COUNT)

    def user_country(self, users: npt.ArrayLike) -> Ints:
        """Index into COUNTRIES of the profile. Every hundred ranks hold each country by its share exactly."""
        edges = np.cumsum([country.share for country in COUNTRIES])
        return np.asarray(np.searchsorted(edges, self.rank_of_user(users) % 100, side="right"))

    def user_age(self, users: npt.ArrayLike) -> Ints:
        """Years, 18 to 90."""
        return np.asarray(np.clip(39 + 13 * normal(self._key("age"), users), 18, 90).astype(np.int64))

    def user_registered_ms(self, users: npt.ArrayLike, first_seen_ms: npt.ArrayLike) -> Ints:
        """When the user registered (ms since 1970, UTC), never after `first_seen_ms`: a fifth are new customers, who
        register as they are first seen, the others did between 2018 and 2024."""
        share = uniform(self._key("registration"), users)
        old = _YEAR_2018_MS + (share * (_YEAR_2025_MS - _YEAR_2018_MS)).astype(np.int64)
        seen = np.asarray(first_seen_ms, dtype=np.int64)
        is_new = uniform(self._key("new customer"), users) < _NEW_CUSTOMER_SHARE
        return np.asarray(np.where(is_new, seen, np.minimum(old, seen)))

    def user_is_bulk_buyer(self, users: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        return np.asarray(uniform(self._key("bulk"), users) < _BULK_BUYER_SHARE)

    def user_categories(self, users: npt.ArrayLike) -> Ints:
        """Preferred categories, shape (users, 4): the first `user_category_count` of each row count; they differ."""
        users = np.atleast_1d(np.asarray(users))
        first = below(self._key("preference"), users, CATEGORY_COUNT)
        step = 1 + below(self._key("preference step"), users, CATEGORY_COUNT // 4 - 1)
        return np.asarray((first[:, None] + step[:, None] * np.arange(4)) % CATEGORY_COUNT)

    def user_category_count(self, users: npt.ArrayLike) -> Ints:
        return 1 + below(self._key("preference count"), users, 4)

    def user_emails(self, users: npt.ArrayLike) -> list[str]:
        """E-mail addresses, unique through the user's number."""
        users = np.atleast_1d(np.asarray(users))
        countries = self.user_country(users).tolist()
        picks = [below(self._key(name), users, 1_000_000).tolist() for name in ("first name", "last name", "domain")]
        names = person_names(self.seed)
        emails = []
        for number, country, first, last, domain in zip(users.tolist(), countries, *picks, strict=True):
            firsts, lasts = names[country]
            domains = COUNTRIES[country].mail_domains
            emails.append(
                f"{firsts[first % len(firsts)]}.{lasts[last % len(lasts)]}{number}@{domains[domain % len(domains)]}"
            )
        return emails

    # ---- products ----------------------------------------------------------------------------------------------

    def product_category(self, products: npt.ArrayLike) -> Ints:
        """Index into CATEGORIES; each has PRODUCTS_PER_CATEGORY products."""
        return np.asarray(np.asarray(products, dtype=np.int64) % CATEGORY_COUNT)

    def product_cents(self, products: npt.ArrayLike) -> Ints:
        """Price in cents of a USD, log-normal around the category's median; three in four end in 99 cents."""
        medians = np.array([price for _, price in CATEGORIES]) * 100
        spread = np.exp(0.55 * normal(self._key("price"), products))
        cents = np.maximum(medians[self.product_category(products)] * spread, 99).astype(np.int64)
        charm = uniform(self._key("charm price"), products) < 0.75
        return np.asarray(np.where(charm, cents // 100 * 100 + 99, cents))

    def product_stock(self, products: npt.ArrayLike) -> Ints:
        """Opening stock in units: more of what sells."""
        rank = self.product_popularity_rank(products)
        typical = 12 + 450 / (1.0 + rank) ** 0.6
        return np.asarray((typical * np.exp(0.35 * normal(self._key("stock"), products))).astype(np.int64) + 1)

    def product_rating(self, products: npt.ArrayLike) -> Floats:
        """Mean rating, 1.0 to 5.0 in tenths."""
        return np.asarray(np.clip(np.round(4.1 + 0.5 * normal(self._key("rating"), products), 1), 1.0, 5.0))

    def product_names(self, products: npt.ArrayLike) -> list[str]:
        products = np.atleast_1d(np.asarray(products))
        makers, colours = brands(self.seed), adjectives(self.seed)
        maker = below(self._key("brand"), products, len(makers)).tolist()
        colour = below(self._key("colour"), products, len(colours)).tolist()
        model = below(self._key("model"), products, 900).tolist()
        category = self.product_category(products).tolist()
        return [
            f"{makers[m]} {CATEGORIES[c][0]} {100 + n} {colours[k]}"
            for m, c, n, k in zip(maker, category, model, colour, strict=True)
        ]

    def _product_shuffle(self, categories: npt.ArrayLike) -> tuple[int, Ints]:
        """(a, b) of the bijection rank -> place within each category; a is coprime to PRODUCTS_PER_CATEGORY."""
        return 1 + 10 * (self._key("product shuffle") % 200) + 2, below(
            self._key("product offset"), categories, PRODUCTS_PER_CATEGORY
        )

    def product_of_rank(self, categories: npt.ArrayLike, ranks: npt.ArrayLike) -> Ints:
        """The product that is number `rank` (from 0) in popularity within its category."""
        a, b = self._product_shuffle(categories)
        place = (np.asarray(ranks, dtype=np.int64) * a + b) % PRODUCTS_PER_CATEGORY
        return np.asarray(place * CATEGORY_COUNT + np.asarray(categories, dtype=np.int64))

    def product_popularity_rank(self, products: npt.ArrayLike) -> Ints:
        products = np.asarray(products, dtype=np.int64)
        a, b = self._product_shuffle(products % CATEGORY_COUNT)
        inverse = pow(a, -1, PRODUCTS_PER_CATEGORY)
        return np.asarray((products // CATEGORY_COUNT - b) % PRODUCTS_PER_CATEGORY * inverse % PRODUCTS_PER_CATEGORY)

    def pick_categories(self, draws: Floats) -> Ints:
        """Categories for uniform `draws`, by a power law over a shuffled order."""
        order = np.argsort(uniform(self._key("category order"), np.arange(CATEGORY_COUNT)), kind="stable")
        weights = (np.arange(CATEGORY_COUNT) + 3.0) ** -_CATEGORY_EXPONENT
        edges = np.cumsum(weights) / weights.sum()
        return np.asarray(order[np.minimum(np.searchsorted(edges, draws, side="right"), CATEGORY_COUNT - 1)])

    def pick_products(self, categories: Ints, draws: Floats) -> Ints:
        """Products of the `categories` for uniform `draws`, by a power law within each category."""
        power = 1.0 - _PRODUCT_EXPONENT
        top = (PRODUCTS_PER_CATEGORY + 1.0) ** power - 1.0
        rank = np.floor((draws * top + 1.0) ** (1.0 / power)).astype(np.int64) - 1
        return self.product_of_rank(categories, np.clip(rank, 0, PRODUCTS_PER_CATEGORY - 1))


def user_chars(users: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """User ids as an ASCII matrix of 8 columns: `U0000042`."""
    return digit_chars("U", users, 7)


def product_chars(products: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Product ids as an ASCII matrix of 8 columns: `P0000042`."""
    return digit_chars("P", products, 7)


def user_ids(users: npt.ArrayLike) -> list[str]:
    return slices(user_chars(users))


def product_ids(products: npt.ArrayLike) -> list[str]:
    return slices(product_chars(products))
