"""`.env.example` names and explains every setting."""

from infra.envexample import render
from lakehouse.settings import CHECKOUT, PREFIX, Settings


def test_example_is_that_of_the_settings_class() -> None:
    text = (CHECKOUT / ".env.example").read_text()
    assert text == render(), "run: python -m infra.envexample > .env.example"


def test_every_setting_has_a_meaning() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
    assert all(f"# {PREFIX}{name.upper()}=" in render() for name in Settings.model_fields)
