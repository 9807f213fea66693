"""MinIO at bootstrap: the lake's bucket, and a user per service that may write only the prefixes of its own tables."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from infra.credentials import SERVICES, minio_root_file, read_pairs
from lakehouse.errors import StorageError
from lakehouse.settings import Settings
from lakehouse.storage import bucket, is_s3, s3_client
from lakehouse.tables import TABLES

_ARN = "arn:aws:s3:::"
_READ = ["s3:GetObject", "s3:GetObjectAttributes"]
_WRITE = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]


def written_prefixes() -> dict[str, list[str]]:
    """Per service, the key patterns below the lake's root that it may write."""
    own = {owner: [f"{table.path}/*" for table in TABLES if table.owner == owner] for owner in ("streaming", "batch")}
    own["streaming"] += ["ops/leases/streaming*", "ops/release.json", "_rebuild/*"]
    own["batch"] += ["ops/leases/batch*"]
    return {name: list(dict.fromkeys(patterns)) for name, patterns in own.items()}


def policies(settings: Settings) -> dict[str, dict[str, Any]]:
    """The policy of each user, as S3 policy documents."""
    name = bucket(settings)
    below = settings.lake_uri.split("://", 1)[1][len(name) :].strip("/")
    root = f"{below}/" if below else ""
    written = written_prefixes()
    read = {
        "streaming": ["*"],
        "batch": ["*"],
        "serving": ["gold/*", "silver/*", "ops/*"],
        "api": ["gold/*", "silver/*", "ops/*"],
        "operator": ["*"],
        "desk": ["ops/*"],
        # logs say how large and how old tables are; of rows only the ledger's
        "monitor": ["*/_delta_log/*", "ops/ledger_streaming/*"],
        "reader": ["*"],
    }
    return {user: _policy(name, root, read[user], written.get(user, [])) for user in read}


def _policy(name: str, root: str, read: list[str], written: list[str]) -> dict[str, Any]:
    listing: dict[str, Any] = {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [_ARN + name]}
    if read != ["*"]:
        listing["Condition"] = {"StringLike": {"s3:prefix": [root + pattern for pattern in read]}}
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": ["s3:GetBucketLocation"], "Resource": [_ARN + name]},
        listing,
        {"Effect": "Allow", "Action": _READ, "Resource": [f"{_ARN}{name}/{root}{pattern}" for pattern in read]},
    ]
    if written:
        places = [f"{_ARN}{name}/{root}{pattern}" for pattern in written]
        statements.append({"Effect": "Allow", "Action": _WRITE, "Resource": places})
    return {"Version": "2012-10-17", "Statement": statements}


def apply_users(settings: Settings) -> None:
    """Make bucket, users and policies as they should be, whatever was there. Raises StorageError."""
    if not is_s3(settings):
        return
    from minio import Minio
    from minio.credentials import StaticProvider
    from minio.error import MinioAdminException, MinioException
    from minio.minioadmin import MinioAdmin
    from urllib3.exceptions import HTTPError

    root = read_pairs(minio_root_file(settings))
    endpoint = urlsplit(settings.s3_endpoint)
    address, is_secure = endpoint.netloc, endpoint.scheme == "https"
    user, password = root["MINIO_ROOT_USER"], root["MINIO_ROOT_PASSWORD"]
    secrets: dict[str, str] = {
        name: read_pairs(settings.secrets_dir / f"{name}.env")["GLOBALMART_S3_SECRET_KEY"] for name in SERVICES
    }
    secrets[settings.s3_access_key] = settings.s3_secret_key.get_secret_value()
    try:
        client = Minio(address, access_key=user, secret_key=password, secure=is_secure, region=settings.s3_region)
        if not client.bucket_exists(bucket_name=bucket(settings)):
            client.make_bucket(bucket_name=bucket(settings))
        admin = MinioAdmin(endpoint=address, credentials=StaticProvider(user, password), secure=is_secure)
        for name, policy in policies(settings).items():
            admin.policy_add(f"globalmart-{name}", policy=policy)
            key = settings.s3_access_key if name == "reader" else name
            admin.user_add(key, secrets[key])
            admin.policy_set(f"globalmart-{name}", user=key)
    except (MinioException, MinioAdminException, HTTPError, OSError, ValueError, json.JSONDecodeError) as error:
        raise StorageError(f"MinIO's users cannot be set up on {address}: {error}. See `globalmart doctor`.") from None


def check_reader(settings: Settings) -> str:
    """Whether the pair in `.env` is accepted; the empty text, or what is wrong in one sentence."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        s3_client(settings, attempts=1).list_objects_v2(Bucket=bucket(settings), MaxKeys=1)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "?")
        return (
            f"The S3 service at {urlsplit(settings.s3_endpoint).netloc} refuses the pair in .env ({code}): put right "
            "GLOBALMART_S3_ACCESS_KEY and GLOBALMART_S3_SECRET_KEY."
        )
    except (BotoCoreError, ValueError) as error:
        return (
            f"The S3 service at {settings.s3_endpoint} does not answer ({type(error).__name__}): run `globalmart up`."
        )
    return ""
