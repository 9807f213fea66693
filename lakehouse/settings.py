"""The one typed settings class: every value that may differ between machines, with its default and meaning.

Values come, strongest first, from environment variables, from the secret file of the running service, from `.env`.
The field `kafka_port` is the variable `GLOBALMART_KAFKA_PORT`, and so on.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lakehouse.errors import SettingsError

CHECKOUT = Path(__file__).resolve().parents[1]
PREFIX = "GLOBALMART_"

Service = Literal["streaming", "batch", "serving", "api", "operator", "desk", "monitor"]
Profile = Literal["local", "cluster"]

_LINE = re.compile(r"^(export\s+)?[A-Za-z_][A-Za-z0-9_]*=.*$")


class Settings(BaseSettings):
    """All settings of the platform. Sizes are GiB, times are in the unit that the name ends with."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", env_file_encoding="utf-8", frozen=True)

    # Where things are
    state_dir: Path = Field(
        CHECKOUT / ".globalmart", description="Where the local stack keeps its data, logs and secrets."
    )
    profile: Profile = Field(
        "local",
        description="What the local stack is made of: `cluster` has three Kafka brokers and a Spark cluster. `globalmart up --profile` sets it.",
    )
    lake_uri: str = Field(
        "s3a://lakehouse", description="Root of all tables: `s3a://bucket[/prefix]` or `file:///path`."
    )
    checkpoint_uri: str = Field(
        "", description="Root of the streaming checkpoints, durable storage; empty: `checkpoints/` in the state folder."
    )

    # Kafka
    kafka_bootstrap_servers: str = Field("127.0.0.1:9092", description="Brokers as `host:port`, comma-separated.")
    kafka_partitions: int = Field(4, ge=1, le=1024, description="Partitions of each input topic when it is created.")
    kafka_retention_hours: int = Field(
        8760, ge=1, description="How long Kafka keeps a record; after that bronze is the source."
    )

    # S3
    s3_endpoint: str = Field("http://127.0.0.1:9000", description="Address of the S3 service.")
    s3_region: str = Field("us-east-1", description="Region named in S3 signatures.")
    s3_access_key: str = Field(
        "", description="S3 access key. The pair in `.env` reads the whole lake and writes nothing."
    )
    s3_secret_key: SecretStr = Field(SecretStr(""), description="S3 secret key of that access key.")

    # PostgreSQL, API
    postgres_url: SecretStr = Field(
        SecretStr(""), description="PostgreSQL as `postgresql://user:password@host:port/database`."
    )
    api_url: str = Field("http://127.0.0.1:8000", description="Address of the REST API.")
    api_key: SecretStr = Field(SecretStr(""), description="A key of the REST API, made by set-up.")

    api_key_sha256: str = Field(
        "", description="SHA-256 of the API key in hexadecimal, all that the API itself is given of it."
    )

    # Where the stack's own servers are. The defaults are one machine's; containers have each in a place of its own.
    listen_host: str = Field(
        "127.0.0.1", description="Address that the REST API and Dagster's pages listen on; in a container `0.0.0.0`."
    )
    postgres_host: str = Field("127.0.0.1", description="Host of PostgreSQL in the addresses that set-up writes.")
    kafka_port: int = Field(9092, ge=1, le=65535, description="Local stack: Kafka.")
    kafka_controller_port: int = Field(9093, ge=1, le=65535, description="Local stack: Kafka's KRaft controller.")
    kafka_2_port: int = Field(9094, ge=1, le=65535, description="Profile `cluster`: the second Kafka broker.")
    kafka_2_controller_port: int = Field(9095, ge=1, le=65535, description="Profile `cluster`: its KRaft controller.")
    kafka_3_port: int = Field(9096, ge=1, le=65535, description="Profile `cluster`: the third Kafka broker.")
    kafka_3_controller_port: int = Field(9097, ge=1, le=65535, description="Profile `cluster`: its KRaft controller.")
    spark_master_port: int = Field(7077, ge=1, le=65535, description="Profile `cluster`: Spark's master.")
    spark_master_web_port: int = Field(7080, ge=1, le=65535, description="Profile `cluster`: pages of Spark's master.")
    spark_worker_1_web_port: int = Field(
        7081, ge=1, le=65535, description="Profile `cluster`: pages of the first Spark worker."
    )
    spark_worker_2_web_port: int = Field(
        7082, ge=1, le=65535, description="Profile `cluster`: pages of the second Spark worker."
    )
    s3_port: int = Field(9000, ge=1, le=65535, description="Local stack: MinIO.")
    postgres_port: int = Field(5433, ge=1, le=65535, description="Local stack: PostgreSQL.")
    dagster_port: int = Field(3000, ge=1, le=65535, description="Local stack: Dagster's web pages.")
    api_port: int = Field(8000, ge=1, le=65535, description="Local stack: REST API.")
    notebooks_port: int = Field(8888, ge=1, le=65535, description="JupyterLab of `globalmart notebooks`.")
    prometheus_port: int = Field(9190, ge=1, le=65535, description="Local stack: Prometheus.")
    alertmanager_port: int = Field(9193, ge=1, le=65535, description="Local stack: Alertmanager.")
    monitor_port: int = Field(
        9180, ge=1, le=65535, description="Metrics of the monitor, and where Alertmanager tells it of alerts."
    )
    streaming_metrics_port: int = Field(9181, ge=1, le=65535, description="Metrics of the streaming service.")
    realtime_metrics_port: int = Field(9182, ge=1, le=65535, description="Metrics of the real-time lane.")
    api_metrics_port: int = Field(9183, ge=1, le=65535, description="Metrics of the API.")

    # Memory of the local stack's servers
    kafka_memory_gb: float = Field(0.75, ge=0.25, description="Local stack: heap of each Kafka broker.")
    s3_memory_gb: float = Field(0.9, ge=0.25, description="Local stack: what MinIO is to keep within.")

    # Spark
    spark_master: str = Field(
        "local[*]",
        description="Spark master: `local[*]`, `spark://host:port` or `k8s://…`. In the profile `cluster` its own, unless one is named.",
    )
    spark_worker_cores: int = Field(
        2,
        ge=1,
        le=64,
        description="Profile `cluster`: tasks at a time on each of the two Spark workers, all drivers' together.",
    )
    spark_worker_memory_gb: float = Field(
        3.0, ge=0.5, description="Profile `cluster`: heaps of all executors of a Spark worker together."
    )
    spark_cores_max: int = Field(
        2, ge=1, description="Profile `cluster`: tasks at a time of each Spark driver, one to an executor."
    )
    spark_executor_memory_gb: float = Field(1.0, ge=0.5, description="Profile `cluster`: heap of an executor.")
    streaming_memory_gb: float = Field(3.0, gt=0.5, description="Heap of the streaming service's JVM.")
    batch_memory_gb: float = Field(4.0, gt=0.5, description="Heap of a batch run's JVM.")
    jars_dir: Path | None = Field(None, description="Folder of the Spark jars; empty: the set-up's cache.")

    # Streaming
    stream_trigger_seconds: float = Field(
        1.0, ge=0, description="Least time from the start of one micro-batch to the next."
    )
    stream_max_offsets: int = Field(100_000, ge=1, description="Most event records taken in one micro-batch.")
    watermark_delay_minutes: float = Field(
        10, ge=0, description="How far a topic's watermark trails its highest event time."
    )
    dedup_horizon_days: int = Field(
        7, ge=7, description="How far back, in time of ingestion, a duplicate is recognised."
    )
    too_old_days: int | None = Field(
        None, ge=1, description="Events older than this against their Kafka time are quarantined; empty: never."
    )
    stream_idle_seconds: float = Field(
        30, gt=0, description="After this many seconds without a record, live time moves the watermark."
    )
    session_gap_minutes: float = Field(30, gt=0, description="A longer pause of a customer ends the session.")
    cart_abandon_minutes: float = Field(
        30, gt=0, description="A cart is abandoned when it is not bought within this time of its last change."
    )
    live_horizon_hours: float = Field(
        168,
        gt=0,
        description="How far behind the watermark sessions and carts stay in memory; older ones are looked up in the lake.",
    )
    live_state_limit: int = Field(
        1_000_000, ge=1_000, description="Most sessions, and most carts, kept in memory once they are closed."
    )
    stock_low_units: int = Field(5, ge=0, description="A product with this many units or fewer is low in stock.")
    stock_low_days: float = Field(
        1, ge=0, description="A product whose stock lasts fewer days at its sell rate is low."
    )
    stock_recovery_factor: float = Field(
        2, ge=1, description="A low product is well again only above both thresholds times this factor."
    )
    stock_rate_days: float = Field(
        7, gt=0, description="Mean age in days of the sales that the sell rate of a product is made of."
    )
    stream_accept_loss: bool = Field(
        False, description="Start although Kafka has lost records that the lake has not taken, and go on after them."
    )
    compact_files: int = Field(
        200, ge=2, description="A streaming table is compacted when it has gained more than this many files."
    )
    history_days: int = Field(
        7,
        ge=1,
        description="How long a streaming table keeps what a newer version replaced: time travel and open readers.",
    )
    batch_history_days: int = Field(
        30,
        ge=7,
        description="The same for dimensions, facts and marts. At least 7, for whoever has an older version open.",
    )
    lease_seconds: float = Field(15, gt=0, description="How long an owner's lease lasts unless renewed.")
    batch_wait_minutes: float = Field(
        30,
        ge=0,
        description="How long a batch run waits for another one to give the batch tables free, before it fails.",
    )

    # Real-time lane
    realtime_memory_gb: float = Field(1.5, gt=0.5, description="Heap of the real-time lane's JVM.")
    realtime_trigger_minutes: float = Field(
        5, ge=0.1, description="How often the real-time lane writes its checkpoint and takes a fresh catalogue."
    )
    realtime_away_minutes: float = Field(
        15,
        ge=0,
        description="After a longer absence the real-time lane starts at the newest record instead of where it was.",
    )

    # Serving
    refresh_seconds: float = Field(
        1.0, gt=0, description="How often the refresher looks for new versions of live gold."
    )
    duckdb_memory_gb: float = Field(
        1.0, gt=0, description="Most memory that DuckDB may take in each process of the API."
    )

    # Backup
    backup_s3_endpoint: str = Field("", description="Address of the S3 service of `s3://` backups; empty: the lake's.")
    backup_s3_access_key: str = Field(
        "", description="S3 access key of backups, which may list, read and write their bucket."
    )
    backup_s3_secret_key: SecretStr = Field(SecretStr(""), description="S3 secret key of that access key.")

    # Security of the API
    api_workers: int = Field(
        1, ge=1, le=64, description="Processes of the API; they share the serving files and nothing else."
    )
    api_requests_per_second: int = Field(
        300, ge=1, description="Most requests a second that each process of the API takes of one key."
    )
    api_concurrency: int = Field(
        64, ge=1, description="Most requests at the same time in each process of the API; more are told to come again."
    )
    api_streams: int = Field(
        100, ge=1, description="Most open streams of live events in each process of the API, half of them of one key."
    )
    api_body_bytes: int = Field(1_048_576, ge=1024, description="Largest body of a request to the API.")
    api_session_hours: float = Field(12, gt=0, le=720, description="How long a sign-in to the web pages lasts.")
    api_cors_origins: str = Field(
        "",
        description="Other sites whose pages may call the API with a key, comma-separated; empty: none (CORS is off).",
    )
    api_tls_certificate: Path | None = Field(
        None, description="Certificate chain (PEM) of the API; with it and its key the API speaks TLS alone."
    )
    api_tls_key: Path | None = Field(None, description="Private key (PEM) of that certificate.")
    audit_days: int = Field(365, ge=1, description="How long the API's audit log is kept.")

    # PostgreSQL mirror
    mirror_database: str = Field(
        "mirror", description="Database of the mirror of gold, on the server of GLOBALMART_POSTGRES_URL."
    )
    mirror_seconds: float = Field(5.0, gt=0, description="How often the mirror takes what is new in gold.")
    mirror_days: int = Field(
        7, ge=1, description="How many of the newest days the mirror has of live tables and of facts."
    )

    # Alert desk
    alert_rules: Path = Field(
        CHECKOUT / "infra" / "alerts.toml", description="Rules of the alert desk: what is grouped, who is told of what."
    )
    alert_webhook_url: SecretStr = Field(
        SecretStr(""), description="Where the alert desk posts notices, `http(s)://…`; empty: nowhere."
    )
    smtp_server: str = Field("", description="Mail server for notices as `host:port`; empty: no mail.")
    smtp_security: Literal["none", "starttls", "tls"] = Field(
        "starttls", description="Encryption of the mail server's connection: `none`, `starttls` or `tls`."
    )
    smtp_user: str = Field("", description="Account on the mail server; empty: without logging in.")
    smtp_password: SecretStr = Field(SecretStr(""), description="Password of that account.")
    mail_from: str = Field("", description="Sender of notices by mail.")
    mail_to: str = Field("", description="Receivers of notices by mail, comma-separated.")

    # Monitoring
    metrics_host: str = Field(
        "127.0.0.1", description="Address on which services show their metrics; in a container `0.0.0.0`."
    )
    monitor_seconds: float = Field(
        15, ge=1, le=60, description="How often the monitor looks, and how often Prometheus takes metrics."
    )
    prometheus_days: int = Field(15, ge=1, description="Local stack: how long Prometheus keeps metrics.")
    prometheus_disk_gb: float = Field(0.5, gt=0, description="Local stack: most disk that Prometheus takes for them.")

    # Read by the settings class itself, listed here so that the documentation has them
    service: Service | None = Field(
        None,
        validation_alias=AliasChoices(f"{PREFIX}SERVICE", "service"),
        description="Which service this process is; its secret file is read on top of `.env`.",
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unset(cls, values: Any) -> Any:
        """`NAME=` in a file or the environment means: not set."""
        return {k: v for k, v in values.items() if v != ""} if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _resolve(self) -> Settings:
        state_dir = self.state_dir if self.state_dir.is_absolute() else CHECKOUT / self.state_dir
        object.__setattr__(self, "state_dir", state_dir)
        if (self.api_tls_certificate is None) != (self.api_tls_key is None):
            raise ValueError("GLOBALMART_API_TLS_CERTIFICATE and GLOBALMART_API_TLS_KEY belong together")
        if not self.checkpoint_uri:
            object.__setattr__(self, "checkpoint_uri", (state_dir / "checkpoints").as_uri())
        if self.profile == "cluster":
            self._join_cluster()
        return self

    def _join_cluster(self) -> None:
        """All brokers in the place of the first, which is what `.env` names; Spark's master where none is named."""
        first = f"127.0.0.1:{self.kafka_port}"
        if self.kafka_bootstrap_servers == first or "kafka_bootstrap_servers" not in self.model_fields_set:
            brokers = ",".join(f"127.0.0.1:{port}" for port in (self.kafka_port, self.kafka_2_port, self.kafka_3_port))
            object.__setattr__(self, "kafka_bootstrap_servers", brokers)
        if "spark_master" not in self.model_fields_set:
            object.__setattr__(self, "spark_master", f"spark://127.0.0.1:{self.spark_master_port}")

    @property
    def secrets_dir(self) -> Path:
        return self.state_dir / "secrets"

    @property
    def spark_dir(self) -> Path:
        """Of the profile `cluster`: configuration of Spark's cluster with its secret, and what the workers keep."""
        return self.state_dir / "spark"

    @property
    def run_dir(self) -> Path:
        """Heartbeats of the running services."""
        return self.state_dir / "run"

    @property
    def truth_dir(self) -> Path:
        """The generator's truth ledgers, outside the lake."""
        return self.state_dir / "truth"

    @property
    def audit_dir(self) -> Path:
        """The API's audit log, a file a day."""
        return self.state_dir / "audit"

    @property
    def mirror_url(self) -> str:
        """PostgreSQL's address of the mirror, for the role of this process; empty where there is no PostgreSQL."""
        parts = urlsplit(self.postgres_url.get_secret_value())
        return urlunsplit(parts._replace(path=f"/{self.mirror_database}")) if parts.netloc else ""

    @property
    def monitoring_dir(self) -> Path:
        """Configuration and data of Prometheus and Alertmanager."""
        return self.state_dir / "monitoring"

    @property
    def quality_dir(self) -> Path:
        """The pages of Data Docs: batch runs write them, the API serves them."""
        return self.state_dir / "quality"

    @property
    def grafana_dir(self) -> Path:
        """What `globalmart dashboards build` writes for a Grafana server."""
        return self.state_dir / "grafana"

    @property
    def serving_dir(self) -> Path:
        """The read-only DuckDB files that the API serves from."""
        return self.state_dir / "serving"


def env_file() -> Path:
    """The `.env` in force: `GLOBALMART_ENV_FILE`, or the one in the checkout."""
    return Path(os.environ.get(f"{PREFIX}ENV_FILE") or CHECKOUT / ".env")


def check_env_file(path: Path) -> None:
    """Raise SettingsError with the line number where `path` is not a list of NAME=value lines."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SettingsError(
            f"{path} is not UTF-8 text. Move it away and run `globalmart up`: a new one is written."
        ) from None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#") and not _LINE.match(line.strip()):
            raise SettingsError(
                f"{path} line {number} is not NAME=value. Mend the line, or move the file away and run `globalmart up`."
            )


def load_settings(service: Service | None = None, **overrides: Any) -> Settings:
    """Read the settings anew, as `service` if given.

    Raises SettingsError, in one sentence, for a corrupt file or a value of the wrong type.
    """
    service = service or os.environ.get(f"{PREFIX}SERVICE") or None  # type: ignore[assignment]
    path = env_file()
    if path.exists():
        check_env_file(path)
    try:
        settings = Settings(_env_file=path, **overrides)
        if service is not None:
            secret = settings.secrets_dir / f"{service}.env"
            settings = Settings(_env_file=(path, secret), **{"service": service, **overrides})
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + "_".join(str(part) for part in first["loc"]).upper().removeprefix(PREFIX)
        raise SettingsError(
            f"The setting {name} is not usable: {first['msg']}. It comes from the environment or {path}."
        ) from None
    return settings


@lru_cache
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return load_settings()
