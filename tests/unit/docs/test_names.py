"""Files, tables and settings that a page names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from documents import PAGES

from infra.credentials import ensure_credentials, read_pairs
from lakehouse.settings import CHECKOUT, PREFIX, Settings
from lakehouse.tables import BY_PATH

_FOLDERS = "api|infra|ingestion|lakehouse|notebooks|orchestration|tests|docs"
_PATH = re.compile(rf"(?<![\w/.:-])(?:{_FOLDERS})/[\w./-]*\w/?")
_TABLE = re.compile(r"`((?:bronze|silver|gold|ops)/[a-z_]+)`")
_SETTING = re.compile(rf"\b{PREFIX}[A-Z0-9_]+\b")
_OUTSIDE = {
    "GLOBALMART_ENV_FILE",
    "GLOBALMART_CACHE_DIR",
    "GLOBALMART_PICTURES_DIR",
}  # read from the environment, no settings
_GONE = {"ops/ledger_batch"}  # a decision says why there is none


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_file_that_is_named_exists(page: Path) -> None:
    named = set(_PATH.findall(page.read_text("utf-8")))
    missing = [path for path in named if not ((CHECKOUT / path).exists() or (CHECKOUT / f"{path}.py").exists())]
    assert [path for path in missing if not list(CHECKOUT.glob(f"{path}*"))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_table_that_is_named_exists(page: Path) -> None:
    assert set(_TABLE.findall(page.read_text("utf-8"))) - set(BY_PATH) <= _GONE


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Settings, and the variables of the secret files."""
    settings = Settings(_env_file=None, state_dir=tmp_path_factory.mktemp("state"))
    ensure_credentials(settings)
    secret = {name for path in settings.secrets_dir.glob("*.env") for name in read_pairs(path)}
    return {PREFIX + name.upper() for name in Settings.model_fields} | secret | _OUTSIDE


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_setting_that_is_named_exists(page: Path, known: set[str]) -> None:
    assert set(_SETTING.findall(page.read_text("utf-8"))) - known == set()
