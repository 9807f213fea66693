"""`globalmart keys`: help with examples, and what is refused before anything is asked of PostgreSQL; the text of a key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from api.keys.command import app, end_of
from api.keys.model import digest, id_of, matches, new_key
from lakehouse.errors import SettingsError

NOW = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize("command", ["issue", "list", "revoke", "expire", "audit"])
def test_help_has_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"Example: globalmart keys {command}" in result.output


@pytest.mark.parametrize(
    ("words", "end"),
    [
        ("never", None),
        ("12h", NOW + timedelta(hours=12)),
        ("90d", NOW + timedelta(days=90)),
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T02:00+02:00", datetime(2027, 1, 31, tzinfo=UTC)),
    ],
)
def test_an_end_is_a_span_a_time_or_never(words: str, end: datetime | None) -> None:
    assert end_of(words, NOW) == end


@pytest.mark.parametrize("words", ["", "12", "12m", "-1d", "0h", "2026-05-04", "tomorrow", "99999999d", "99999d9"])
def test_any_other_end_is_refused(words: str) -> None:
    with pytest.raises(SettingsError):
        end_of(words, NOW)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["name", "--role", "root"], "There is no role 'root'"),
        (["name", "--country", "FR"], "There is no country FR"),
        (["name", "--country", "de"], "There is no country de"),
        ([" "], "A key needs a name"),
    ],
)
def test_rights_that_do_not_exist_are_refused(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(app, ["issue", *arguments])
    assert isinstance(result.exception, SettingsError)
    assert str(result.exception).startswith(words)


def test_a_key_has_256_random_bits_and_says_its_id() -> None:
    made = [new_key() for _ in range(200)]
    assert len({shown for _, shown, _ in made}) == 200
    for key_id, shown, sha256 in made:
        assert id_of(shown) == key_id
        assert len(shown.split("_", 2)[2]) == 43  # 32 bytes in base64
        assert sha256 == digest(shown)
        assert matches(shown, sha256)
        assert not matches(shown + "x", sha256)


@pytest.mark.parametrize(
    "text", ["", "gm_", "gm_0123456789ab_short", "GM_0123456789ab_" + "x" * 43, " gm_0123456789ab_" + "x" * 43]
)
def test_what_is_no_key_has_no_id(text: str) -> None:
    assert id_of(text) is None
