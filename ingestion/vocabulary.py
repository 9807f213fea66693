"""The words and weights of the shop's world: categories with median prices, countries, and Faker-made names. No logic."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from faker import Faker

from lakehouse.countries import TIME_ZONES

# 100 categories with the median price in USD of their products.
CATEGORIES: tuple[tuple[str, float], ...] = (
    ("Laptops", 899), ("Smartphones", 549), ("Tablets", 329), ("Headphones", 89), ("Cameras", 449),
    ("Televisions", 599), ("Speakers", 119), ("Game Consoles", 349), ("Video Games", 45), ("Computer Parts", 129),
    ("Monitors", 229), ("Printers", 149), ("Smart Watches", 199), ("Smart Home", 69), ("Phone Cases", 19),
    ("Chargers and Cables", 17), ("Memory Cards", 24), ("Networking", 79), ("Drones", 399), ("E-Readers", 129),
    ("Fiction", 14), ("Non-Fiction", 18), ("Children's Books", 11), ("Textbooks", 64), ("Comics", 13),
    ("Music", 15), ("Films and Series", 19), ("Musical Instruments", 179), ("Art Supplies", 22), ("Stationery", 9),
    ("Women's Dresses", 49), ("Women's Tops", 27), ("Women's Shoes", 64), ("Women's Coats", 109), ("Handbags", 79),
    ("Men's Shirts", 34), ("Men's Trousers", 47), ("Men's Shoes", 74), ("Men's Jackets", 99), ("Ties and Belts", 29),
    ("Girls' Clothing", 24), ("Boys' Clothing", 24), ("Baby Clothing", 18), ("Underwear", 19), ("Sportswear", 39),
    ("Swimwear", 32), ("Socks", 11), ("Hats and Scarves", 21), ("Sunglasses", 59), ("Jewellery", 89),
    ("Wrist Watches", 149), ("Luggage", 119), ("Backpacks", 54), ("Skin Care", 26), ("Hair Care", 16),
    ("Make-Up", 21), ("Perfume", 62), ("Shaving", 23), ("Oral Care", 14), ("Vitamins", 22),
    ("First Aid", 15), ("Fitness Equipment", 139), ("Cycling", 189), ("Camping", 84), ("Fishing", 48),
    ("Football", 34), ("Running", 79), ("Yoga", 29), ("Winter Sports", 159), ("Board Games", 32),
    ("Puzzles", 17), ("Dolls", 27), ("Building Blocks", 44), ("Toy Vehicles", 23), ("Outdoor Toys", 38),
    ("Sofas", 699), ("Beds", 549), ("Tables", 249), ("Chairs", 129), ("Lamps", 54),
    ("Rugs", 99), ("Curtains", 42), ("Bedding", 59), ("Towels", 23), ("Cookware", 64),
    ("Cutlery", 39), ("Coffee Machines", 169), ("Small Appliances", 74), ("Refrigerators", 849), ("Washing Machines", 649),
    ("Vacuum Cleaners", 199), ("Garden Tools", 36), ("Garden Furniture", 279), ("Plants", 19), ("Power Tools", 119),
    ("Hand Tools", 28), ("Car Parts", 58), ("Dog Supplies", 27), ("Cat Supplies", 22), ("Groceries", 8),
)  # fmt: skip


@dataclass(frozen=True)
class Country:
    """One country of operation. `share` is its percentage of users, `peaks` the local hours of most traffic."""

    code: str
    share: int
    time_zone: str
    locale: str
    mail_domains: tuple[str, ...]
    peaks: tuple[float, float]


COUNTRIES: tuple[Country, ...] = (
    Country("US", 40, TIME_ZONES["US"], "en_US", ("example.com", "mail.example.com", "example.org"), (12.5, 20.5)),
    Country("GB", 15, TIME_ZONES["GB"], "en_GB", ("example.co.uk", "post.example.co.uk"), (12.0, 20.0)),
    Country("DE", 15, TIME_ZONES["DE"], "de_DE", ("example.de", "post.example.de"), (12.0, 19.5)),
    Country("IN", 20, TIME_ZONES["IN"], "en_IN", ("example.in", "mail.example.in"), (13.0, 21.5)),
    Country("BR", 10, TIME_ZONES["BR"], "pt_BR", ("example.com.br", "correio.example.com.br"), (12.5, 21.0)),
)
COUNTRY_CODES: tuple[str, ...] = tuple(country.code for country in COUNTRIES)

DEVICES: tuple[tuple[str, float], ...] = (("mobile", 0.62), ("desktop", 0.31), ("tablet", 0.07))
PAYMENT_METHODS: tuple[tuple[str, float], ...] = (
    ("credit_card", 0.44), ("debit_card", 0.22), ("paypal", 0.21), ("bank_transfer", 0.09), ("gift_card", 0.04),
)  # fmt: skip

# Share of a year's traffic by month against an even year, and of a week's by weekday from Monday.
MONTH_FACTORS = (0.90, 0.87, 0.93, 0.94, 0.97, 0.95, 0.94, 0.93, 0.96, 1.02, 1.27, 1.32)
WEEKDAY_FACTORS = (0.97, 0.94, 0.95, 0.97, 1.02, 1.09, 1.06)

_BRAND_COUNT = 400
_NAME_COUNT = 300


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain.lower() if letter.isalpha())


def _distinct(make: object, count: int) -> tuple[str, ...]:
    """The first `count` distinct non-empty texts that `make` gives; fewer where it has no more."""
    seen: dict[str, None] = {}
    for _ in range(count * 20):
        text = str(make())  # type: ignore[operator]
        if text:
            seen[text] = None
        if len(seen) == count:
            break
    return tuple(seen)


@lru_cache(maxsize=4)
def brands(seed: int) -> tuple[str, ...]:
    """Names of makers."""
    fake = Faker("en_US")
    fake.seed_instance(seed)
    return _distinct(fake.last_name, _BRAND_COUNT)


@lru_cache(maxsize=4)
def adjectives(seed: int) -> tuple[str, ...]:
    """Colours, as products are told apart by them."""
    fake = Faker("en_US")
    fake.seed_instance(seed)
    return _distinct(fake.color_name, 120)


@lru_cache(maxsize=4)
def person_names(seed: int) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """Per country, first and last names as e-mail addresses spell them: lower case, ASCII letters only."""
    names = []
    for country in COUNTRIES:
        fake = Faker(country.locale)
        fake.seed_instance(seed)
        first = _distinct(lambda fake=fake: _ascii(fake.first_name()), _NAME_COUNT)
        last = _distinct(lambda fake=fake: _ascii(fake.last_name()), _NAME_COUNT)
        names.append((first, last))
    return tuple(names)
