"""XXH64 in plain Python for values under 32 bytes, as the algorithm's specification describes it: checks keys made by Spark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_P1, _P2, _P3, _P4, _P5 = (
    0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5,
)  # fmt: skip
_MASK = (1 << 64) - 1


def surrogate_key(member_id: str, valid_from: datetime) -> int:
    """The key as a signed number: hash of the id with seed 42, which is the seed for the microseconds since 1970."""
    micros = (valid_from - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    value = xxh64(micros.to_bytes(8, "little", signed=True), xxh64(member_id.encode(), 42))
    return value - (1 << 64) if value >= 1 << 63 else value


def xxh64(data: bytes, seed: int) -> int:
    assert len(data) < 32
    value = (seed + _P5 + len(data)) & _MASK
    at = 0
    for size in (8, 4, 1):
        while len(data) - at >= size:
            word = int.from_bytes(data[at : at + size], "little")
            if size == 8:
                value = (_rotated(value ^ (_rotated(word * _P2 & _MASK, 31) * _P1 & _MASK), 27) * _P1 + _P4) & _MASK
            elif size == 4:
                value = (_rotated(value ^ (word * _P1 & _MASK), 23) * _P2 + _P3) & _MASK
            else:
                value = _rotated(value ^ (word * _P5 & _MASK), 11) * _P1 & _MASK
            at += size
    value = (value ^ value >> 33) * _P2 & _MASK
    value = (value ^ value >> 29) * _P3 & _MASK
    return value ^ value >> 32


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> 64 - bits) & _MASK
