"""How the lake's tables are reached without Spark: addresses and S3 options for delta-rs, and one place for its errors."""

from __future__ import annotations

from typing import Any

from deltalake import DeltaTable

from lakehouse.settings import Settings
from lakehouse.tables import Table


def is_s3(settings: Settings) -> bool:
    return settings.lake_uri.startswith(("s3a://", "s3://"))


def bucket(settings: Settings) -> str:
    """Name of the lake's bucket; only for a lake on S3."""
    return settings.lake_uri.split("://", 1)[1].split("/", 1)[0]


def spark_uri(settings: Settings, table: Table) -> str:
    return f"{settings.lake_uri.rstrip('/')}/{table.path}"


def delta_uri(settings: Settings, table: Table) -> str:
    """As `spark_uri`, with the scheme that delta-rs and DuckDB know."""
    return spark_uri(settings, table).replace("s3a://", "s3://", 1)


def delta_options(settings: Settings) -> dict[str, str]:
    """S3 options for delta-rs. Commits are conditional PUTs: of two writers of one version, one is refused."""
    if not is_s3(settings):
        return {}
    return {
        "AWS_ENDPOINT_URL": settings.s3_endpoint,
        "AWS_REGION": settings.s3_region,
        "AWS_ACCESS_KEY_ID": settings.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": settings.s3_secret_key.get_secret_value(),
        "AWS_ALLOW_HTTP": "true" if settings.s3_endpoint.startswith("http://") else "false",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
        "aws_conditional_put": "etag",
        "timeout": "30s",
        "connect_timeout": "5s",
        # A log is read with one connection for each commit; without a bound all stay open, two thousand for the streaming service
        "pool_max_idle_per_host": "8",
    }


def s3_client(settings: Settings, read_timeout: float = 5, attempts: int = 2) -> Any:
    """A boto3 client of the lake's S3 service, for what is not a table. `read_timeout` in seconds."""
    import boto3  # slow to import, and most processes never need it
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key or "none",
        aws_secret_access_key=settings.s3_secret_key.get_secret_value() or "none",
        config=Config(
            s3={"addressing_style": "path"},
            connect_timeout=3,
            read_timeout=read_timeout,
            retries={"max_attempts": attempts},
        ),
    )


def open_table(settings: Settings, table: Table, version: int | None = None) -> DeltaTable:
    """Raises deltalake's TableNotFoundError when the table does not exist yet."""
    return DeltaTable(delta_uri(settings, table), version=version, storage_options=delta_options(settings))


def exists(settings: Settings, table: Table) -> bool:
    return bool(DeltaTable.is_deltatable(delta_uri(settings, table), storage_options=delta_options(settings)))
