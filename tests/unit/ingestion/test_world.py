"""The world: counts, weights, bijections, and each user or product alone the same as among many."""

from __future__ import annotations

import numpy as np
import pytest

from ingestion import vocabulary
from ingestion.vocabulary import CATEGORIES, COUNTRIES
from ingestion.world import CATEGORY_COUNT, PRODUCT_COUNT, USER_COUNT, World, product_ids, user_ids

WORLD = World(11)
USERS = np.arange(0, USER_COUNT, 9_973)
PRODUCTS = np.arange(PRODUCT_COUNT)


def test_the_world_has_the_sizes_of_the_brief() -> None:
    assert (USER_COUNT, PRODUCT_COUNT, CATEGORY_COUNT) == (10_000_000, 250_000, 100)
    assert len({name for name, _ in CATEGORIES}) == 100
    assert [country.code for country in COUNTRIES] == ["US", "GB", "DE", "IN", "BR"]
    assert sum(country.share for country in COUNTRIES) == 100
    assert np.bincount(WORLD.product_category(PRODUCTS)).tolist() == [2_500] * 100


@pytest.mark.parametrize(
    "name",
    ["user_country", "user_age", "user_is_bulk_buyer", "user_category_count", "user_categories", "user_emails"],
)
def test_a_user_alone_is_as_among_many(name: str) -> None:
    make = getattr(WORLD, name)
    together = list(make(USERS[:50]))
    assert [np.asarray(make(np.array([user]))[0]).tolist() for user in USERS[:50]] == [
        np.asarray(one).tolist() for one in together
    ]


@pytest.mark.parametrize(
    "name", ["product_category", "product_cents", "product_stock", "product_rating", "product_names"]
)
def test_a_product_alone_is_as_among_many(name: str) -> None:
    make = getattr(WORLD, name)
    together = list(make(PRODUCTS[:50]))
    assert [make(np.array([product]))[0] for product in PRODUCTS[:50]] == together


def test_another_seed_is_another_world_and_the_same_seed_the_same() -> None:
    assert WORLD.user_emails(USERS[:20]) == World(11).user_emails(USERS[:20])
    assert WORLD.product_names(PRODUCTS[:20]) != World(12).product_names(PRODUCTS[:20])


@pytest.mark.parametrize("seed", range(8))
def test_ranks_and_ids_are_bijections_for_every_seed(seed: int) -> None:
    world = World(seed)
    assert np.array_equal(world.user_of_rank(world.rank_of_user(USERS)), USERS)
    ranks = world.product_popularity_rank(PRODUCTS)
    assert np.array_equal(world.product_of_rank(PRODUCTS % CATEGORY_COUNT, ranks), PRODUCTS)


def test_countries_have_their_shares_exactly_among_any_number_of_active_users() -> None:
    countries = WORLD.user_country(WORLD.user_of_rank(np.arange(20_000)))
    assert np.bincount(countries).tolist() == [country.share * 200 for country in COUNTRIES]


def test_prices_are_whole_cents_and_log_normal_around_the_categorys_median() -> None:
    cents = WORLD.product_cents(PRODUCTS)
    assert cents.dtype == np.int64
    assert cents.min() >= 99
    for category in (0, 20, 87):
        median = np.median(cents[category == PRODUCTS % 100])
        assert median == pytest.approx(CATEGORIES[category][1] * 100, rel=0.08)
    laptops = np.log(cents[PRODUCTS % 100 == 0])
    assert laptops.std() == pytest.approx(0.55, abs=0.05)


def test_ages_ratings_and_stock_stay_within_the_contract() -> None:
    assert WORLD.user_age(USERS).min() >= 18
    assert WORLD.user_age(USERS).max() <= 90
    assert WORLD.product_rating(PRODUCTS).min() >= 1.0
    assert WORLD.product_rating(PRODUCTS).max() <= 5.0
    assert WORLD.product_stock(PRODUCTS).min() >= 1


def test_nobody_registers_after_being_seen_and_a_fifth_are_new() -> None:
    seen = np.full(len(USERS), 1_760_000_000_000)
    registered = WORLD.user_registered_ms(USERS, seen)
    assert (registered <= seen).all()
    assert (registered == seen).mean() == pytest.approx(0.2, abs=0.03)


def test_emails_are_distinct_ascii_addresses() -> None:
    emails = WORLD.user_emails(USERS)
    assert len(set(emails)) == len(emails)
    assert all(email.isascii() and email.count("@") == 1 for email in emails)


def test_preferences_of_a_user_differ_from_each_other() -> None:
    assert all(len(set(row)) == 4 for row in WORLD.user_categories(USERS[:500]).tolist())


def test_ids_have_eight_characters() -> None:
    assert user_ids([42, 9_999_999]) == ["U0000042", "U9999999"]
    assert product_ids([0, 249_999]) == ["P0000000", "P0249999"]


def test_popularity_follows_a_power_law() -> None:
    draws = np.random.default_rng(1).random(200_000)
    picked = WORLD.pick_products(np.zeros(200_000, dtype=np.int64), draws)
    counts = np.sort(np.bincount(picked // 100, minlength=2_500))[::-1]
    slope = np.polyfit(np.log(np.arange(5, 500)), np.log(counts[5:500]), 1)[0]
    assert slope == pytest.approx(-0.85, abs=0.08)


def test_month_and_weekday_factors_average_to_one() -> None:
    assert sum(vocabulary.MONTH_FACTORS) / 12 == pytest.approx(1, abs=0.001)
    assert sum(vocabulary.WEEKDAY_FACTORS) / 7 == pytest.approx(1, abs=0.001)
