"""Counter-based hashing, vectorised: random numbers, UUID text and Kafka partitions as pure functions of (seed, id)."""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
Hashes: TypeAlias = npt.NDArray[np.uint64]
Floats: TypeAlias = npt.NDArray[np.float64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
# The four hexadecimal digits of each 16-bit number, as one 32-bit word: a UUID is eight look-ups.
_FOUR_DIGITS = np.ascontiguousarray(
    _HEX[np.arange(65536, dtype=np.uint32)[:, None] >> np.array([12, 8, 4, 0], dtype=np.uint32) & np.uint32(15)]
).view(np.uint32)[:, 0]
_UUID_WIDTH = 36
_UUID_GROUPS = (0, 4, 9, 14, 19, 24, 28, 32)


def key64(*parts: object) -> int:
    """A 64-bit number that stands for `parts`: the same parts give the same number on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def hash64(key: int, ids: npt.ArrayLike) -> Hashes:
    """Hash each id under `key` (splitmix64, Steele, Lea and Flood 2014): every id is computable alone."""
    with np.errstate(over="ignore"):
        x = (np.asarray(ids).astype(np.uint64) + np.uint64(1)) * _GOLDEN + np.uint64(key)
        x = (x ^ (x >> np.uint64(30))) * _MIX_1
        x = (x ^ (x >> np.uint64(27))) * _MIX_2
        return np.asarray(x ^ (x >> np.uint64(31)))


def uniform(key: int, ids: npt.ArrayLike) -> Floats:
    """A number in [0, 1) per id."""
    return np.asarray((hash64(key, ids) >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def normal(key: int, ids: npt.ArrayLike) -> Floats:
    """A standard normal number per id (Box-Muller)."""
    radius = np.sqrt(-2.0 * np.log1p(-uniform(key, ids)))
    return np.asarray(radius * np.cos(2.0 * np.pi * uniform(key ^ 0x5DEECE66D, ids)))


def below(key: int, ids: npt.ArrayLike, bound: int) -> Ints:
    """An integer in [0, bound) per id."""
    return np.asarray((uniform(key, ids) * bound).astype(np.int64))


def uuid_texts(key: int, ids: npt.ArrayLike) -> list[str]:
    """UUID text (version 4 by its bits) per id, unique for (key, id) as far as 122 bits can be."""
    ids = np.atleast_1d(np.asarray(ids))
    raw = np.stack([hash64(key, ids), hash64(key ^ 0x2545F4914F6CDD1D, ids)], axis=1).view(np.uint16)
    raw[:, 3] = (raw[:, 3] & 0x0FFF) | 0x4000
    raw[:, 4] = (raw[:, 4] & 0x3FFF) | 0x8000
    digits = _FOUR_DIGITS[raw].view(np.uint8).reshape(len(ids), 32)
    chars = np.full((len(ids), _UUID_WIDTH), ord("-"), dtype=np.uint8)
    for place, start in enumerate(_UUID_GROUPS):
        chars[:, start : start + 4] = digits[:, 4 * place : 4 * place + 4]
    return slices(chars)


def slices(chars: npt.NDArray[np.uint8]) -> list[str]:
    """The rows of an ASCII character matrix as texts."""
    width = chars.shape[1]
    text = chars.tobytes().decode("ascii")
    return [text[i : i + width] for i in range(0, len(text), width)]


def digit_chars(prefix: str, numbers: npt.ArrayLike, digits: int) -> npt.NDArray[np.uint8]:
    """Character matrix of `prefix` and the number with leading zeros, one row per number."""
    numbers = np.atleast_1d(np.asarray(numbers)).astype(np.int64)
    chars = np.empty((len(numbers), 1 + digits), dtype=np.uint8)
    chars[:, 0] = ord(prefix)
    for place in range(digits):
        chars[:, digits - place] = numbers // 10**place % 10 + ord("0")
    return chars


def partitions(keys: npt.NDArray[np.uint8], count: int | Ints) -> Ints:
    """Kafka's default partition (murmur2) of each key; `keys` is a matrix of keys of 8 bytes.

    In numpy because kafka-python computes it in Python, which would cost a tenth of the generator's rate.
    """
    if keys.shape[1] != 8:
        raise ValueError("keys must have 8 bytes")
    with np.errstate(over="ignore"):
        m = np.uint32(0x5BD1E995)
        h = np.full(len(keys), np.uint32(0x9747B28C) ^ np.uint32(8), dtype=np.uint32)
        words = np.ascontiguousarray(keys).view("<u4")
        for column in range(2):
            k = words[:, column] * m
            k = (k ^ (k >> np.uint32(24))) * m
            h = (h * m) ^ k
        h = (h ^ (h >> np.uint32(13))) * m
        h = h ^ (h >> np.uint32(15))
    return np.asarray((h & np.uint32(0x7FFFFFFF)).astype(np.int64) % count)
