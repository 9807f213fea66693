"""docs/security.md has each account with the rights that the code gives it, each secret file, and tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

from infra.credentials import DASHBOARDS, DATABASES, ensure_credentials
from infra.s3_users import policies, written_prefixes
from lakehouse.settings import CHECKOUT, Settings

TEXT = (CHECKOUT / "docs/security.md").read_text("utf-8")


def table(first: str) -> dict[str, list[str]]:
    """The rows of the table whose first column is called so, by their first cell."""
    (body,) = re.findall(rf"^\| {re.escape(first)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", TEXT, flags=re.M)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()]
    return {row[0].strip("`"): row[1:] for row in rows}


def test_each_user_of_minio_has_its_rights() -> None:
    settings = Settings(_env_file=None)
    words = {
        "*": "all",
        "gold/*": "`gold`",
        "silver/*": "`silver`",
        "ops/*": "`ops`",
        "*/_delta_log/*": "the logs of tables",
        "ops/ledger_streaming/*": "`ops/ledger_streaming`",
    }
    found = {}
    for user, policy in policies(settings).items():
        (reads,) = [one["Resource"] for one in policy["Statement"] if "s3:GetObject" in one["Action"]]
        read = ", ".join(words[arn.removeprefix("arn:aws:s3:::lakehouse/")] for arn in reads)
        found[user] = (read, bool(written_prefixes().get(user)))
    assert {user: (cells[0], cells[1] != "nothing") for user, cells in table("MinIO user").items()} == found


def test_each_role_of_postgresql_is_there_with_its_database() -> None:
    rows = table("PostgreSQL role")
    assert set(rows) == {*DATABASES, "reader", DASHBOARDS}
    assert [role for role, database in DATABASES.items() if f"`{database}`" not in rows[role][0]] == []


def test_each_secret_file_is_named(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, state_dir=tmp_path)
    ensure_credentials(settings)
    assert [path.name for path in settings.secrets_dir.iterdir() if f"{path.name}`" not in TEXT] == []
