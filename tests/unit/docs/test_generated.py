"""Pages that are made from code are up to date."""

from __future__ import annotations

from infra import configuration
from lakehouse.settings import CHECKOUT, PREFIX, Settings
from lakehouse.tables import TABLES, dictionary
from lakehouse.tables.reference import warehouse


def test_the_configuration_is_that_of_the_settings_class() -> None:
    text = (CHECKOUT / "docs/configuration.md").read_text("utf-8")
    assert text == configuration.page(), "run: python -m infra.configuration > docs/configuration.md"
    assert [name for name in Settings.model_fields if f"| `{PREFIX}{name.upper()}` |" not in text] == []


def test_limits_and_choices_are_in_words() -> None:
    lines = dict(line.split(" | ", 1) for line in configuration.page().splitlines() if line.startswith(f"| `{PREFIX}"))
    assert lines["| `GLOBALMART_KAFKA_PORT`"].startswith("`9092` | whole number, 1 or more, 65535 at most | ")
    assert lines["| `GLOBALMART_SMTP_SECURITY`"].startswith("`starttls` | `none`, `starttls`, `tls` | ")
    assert lines["| `GLOBALMART_SMTP_PASSWORD`"].startswith(" | text, kept secret | ")


def test_the_data_dictionary_is_that_of_the_tables() -> None:
    text = (CHECKOUT / "docs/data-dictionary.md").read_text("utf-8")
    assert text == dictionary.page(), "run: python -m lakehouse.tables.dictionary > docs/data-dictionary.md"
    described = text + (CHECKOUT / "docs/warehouse.md").read_text("utf-8")
    assert [table.path for table in TABLES if f"\n## `{table.path}`\n" not in described] == []
    assert not {table.path for table in warehouse()} & {table.path for table in dictionary.others()}
