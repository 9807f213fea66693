"""The Dockerfile: linted, pinned, and in step with set-up and with the compose file."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from compose_files import BASE, FOLDER, services

from infra.servers.base import common_env
from lakehouse.settings import CHECKOUT, PREFIX, Settings

DOCKERFILE = FOLDER / "Dockerfile"
TEXT = DOCKERFILE.read_text()


def test_it_passes_the_linter() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    result = subprocess.run([str(hadolint), str(DOCKERFILE)], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "")


def test_base_images_are_pinned_by_tag_and_digest() -> None:
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", TEXT, re.MULTILINE)
    names = {name for _, name in stages}
    foreign = [image for image, _ in stages if image not in names]
    assert len(foreign) == 2
    assert all(re.fullmatch(r"[a-z-]+:\d+\.\d+\.\d+\S*@sha256:[0-9a-f]{64}", image) for image in foreign)
    assert f"python:{sys.version_info[0]}.{sys.version_info[1]}." in TEXT or "python:3.11." in TEXT


def test_images_run_as_the_user_of_the_compose_file() -> None:
    users = re.findall(r"^USER (\S+)$", TEXT, re.MULTILINE)
    assert set(users) == {services(BASE)["api"]["user"]}
    assert len(users) == 2  # of both images, and last of all stages


def test_set_up_needs_only_the_files_that_its_stage_copies(tmp_path: Path) -> None:
    """And no package beside the standard library: `-S` leaves all others out."""
    copies = re.findall(
        r"^COPY ((?:lakehouse|infra)/\S.*)$",
        TEXT.split("FROM tools AS minio-source")[1].split("FROM base AS minio")[0],
        re.MULTILINE,
    )
    for line in copies:
        *files, folder = line.split()
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy(CHECKOUT / file, tmp_path / folder)
    env = {"PATH": os.environ["PATH"]}
    result = subprocess.run(
        [sys.executable, "-S", "-c", "import infra.setup"], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


def test_uv_is_that_of_set_up() -> None:
    (version,) = re.findall(r"^UV_VERSION=(\S+)$", (CHECKOUT / "infra" / "bootstrap.sh").read_text(), re.MULTILINE)
    assert f"ARG UV_VERSION={version}\n" in TEXT


def test_every_variable_of_ours_is_known() -> None:
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]+", TEXT))
    settings = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    # read before settings are: where .env and the cache are, and set-up's uv
    assert named - settings == {f"{PREFIX}CACHE_DIR", f"{PREFIX}ENV_FILE", f"{PREFIX}UV"}
    assert not {name for name in named if name not in common_env()} & {f"{PREFIX}API_KEY", f"{PREFIX}S3_SECRET_KEY"}


def test_each_mount_point_is_made_for_the_user() -> None:
    (line,) = re.findall(r"^    (audit built .*)$", TEXT, re.MULTILINE)
    places = {
        str(mount).split(":")[1].rsplit("/", 1)[1]
        for service in services(BASE).values()
        for mount in service.get("volumes", [])
        if isinstance(mount, str) and ":/var/lib/globalmart/" in mount
    }
    assert places <= set(line.split())


def test_the_builder_gets_what_is_copied_and_no_secret() -> None:
    lines = [line for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        word.split("/")[0]
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", TEXT, re.MULTILINE)
        for word in line.split()
        if not word.startswith("--")
    }
    assert copied <= allowed
    assert "**/.env*" in lines
    assert all((CHECKOUT / one).exists() for one in allowed)


def test_health_is_asked_by_the_platforms_own_command() -> None:
    assert 'CMD ["globalmart", "container", "health", "api"]' in TEXT
    assert 'ENTRYPOINT ["globalmart"]\nCMD ["container", "run", "api"]\n' in TEXT
