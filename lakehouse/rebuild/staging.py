"""The folder beside the live tables, `_rebuild/<id>/` below the lake's root, in which a rebuild makes its tables."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import unquote, urlparse

from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.errors import StorageError
from lakehouse.settings import Settings
from lakehouse.storage import bucket, is_s3, s3_client

FOLDER = "_rebuild"


def staged(settings: Settings, name: str) -> Settings:
    """Settings under which every table lies in the staging folder `name`."""
    return settings.model_copy(update={"lake_uri": f"{settings.lake_uri.rstrip('/')}/{FOLDER}/{name}"})


def remove(settings: Settings, prefix: str) -> None:
    """Delete all staging folders whose names begin with `prefix`. Raises StorageError."""
    if not is_s3(settings):
        for folder in (Path(unquote(urlparse(settings.lake_uri).path)) / FOLDER).glob(f"{prefix}*"):
            shutil.rmtree(folder)
        return
    below = settings.lake_uri.split("://", 1)[1].partition("/")[2].strip("/")
    client = s3_client(settings, read_timeout=30, attempts=3)
    try:
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket(settings), Prefix=f"{below}/{FOLDER}/{prefix}".lstrip("/")
        )
        for page in pages:
            for item in page.get("Contents", ()):
                client.delete_object(Bucket=bucket(settings), Key=item["Key"])
    except (BotoCoreError, ClientError) as error:
        raise StorageError(f"The staging folder {FOLDER}/{prefix} of the lake cannot be removed: {error}.") from error
