"""MinIO: the S3 server, on one folder, without its web console."""

from __future__ import annotations

import urllib.error

from infra.credentials import minio_root_file
from infra.minio_server import minio_binary
from infra.servers.base import Health, Launch, get_json
from lakehouse.settings import Settings


def prepare(settings: Settings) -> Launch:
    """The server's command. The root credentials reach it in a file and appear in no environment."""
    data = settings.state_dir / "data" / "minio"
    data.mkdir(parents=True, exist_ok=True)
    env = {
        "MINIO_CONFIG_ENV_FILE": str(minio_root_file(settings)),
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
        "MINIO_REGION": settings.s3_region,
        "MINIO_PROMETHEUS_AUTH_TYPE": "public",  # sizes and counts, to this machine alone
        "GOMEMLIMIT": f"{int(settings.s3_memory_gb * 1024)}MiB",
    }
    return Launch(
        [str(minio_binary()), "server", "--quiet", "--address", f"127.0.0.1:{settings.s3_port}", str(data)], env
    )


def health(settings: Settings, pid: int | None) -> Health:  # noqa: ARG001 one signature for all servers
    try:
        get_json(f"http://127.0.0.1:{settings.s3_port}/minio/health/ready")
    except urllib.error.HTTPError as error:
        return Health(False, f"not ready ({error.code})")
    except (OSError, ValueError):
        return Health(False, f"does not answer on port {settings.s3_port}")
    return Health(True, "ready")
