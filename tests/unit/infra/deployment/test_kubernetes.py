"""What Kustomize makes of the base, the components and the overlays: valid, restricted, and in step with the code."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_files import BASE, UNITS, services

from infra.credentials import ensure_credentials
from infra.services import BY_NAME
from lakehouse.settings import CHECKOUT, PREFIX, Settings

K8S = CHECKOUT / "infra" / "k8s"
OVERLAYS = ("single", "cluster")
COMPOSE = services(BASE)


def _rendered(overlay: str) -> list[dict[str, Any]]:
    kubectl = Path(sys.executable).with_name("kubectl")
    command = [str(kubectl), "kustomize", str(K8S / "overlays" / overlay)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return list(yaml.safe_load_all(result.stdout))


RENDERED = {overlay: _rendered(overlay) for overlay in OVERLAYS}
# What both overlays have alike is looked at once
EVERY = [
    pytest.param(one, id=f"{overlay}-{one['kind']}-{one['metadata']['name']}")
    for overlay, found in RENDERED.items()
    for one in found
    if overlay == OVERLAYS[0] or one not in RENDERED[OVERLAYS[0]]
]
WORKLOADS = [
    pytest.param(one, id=f"{overlay}-{one['metadata']['name']}")
    for overlay, found in RENDERED.items()
    for one in found
    if one["kind"] in {"Deployment", "StatefulSet", "Job"}
]


def _pod(workload: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = workload["spec"]["template"]["spec"]
    return spec


def _main(workload: dict[str, Any]) -> dict[str, Any]:
    (container,) = _pod(workload)["containers"]
    return dict(container)


def _of(overlay: str, kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in RENDERED[overlay] if one["kind"] == kind}


def _workloads(overlay: str) -> dict[str, dict[str, Any]]:
    return {**_of(overlay, "Deployment"), **_of(overlay, "StatefulSet"), **_of(overlay, "Job")}


@pytest.mark.parametrize("resource", EVERY)
def test_it_follows_the_schema_of_kubernetes(resource: dict[str, Any]) -> None:
    kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("resource", EVERY)
def test_everything_is_in_the_one_namespace_and_no_secret_is_in_a_manifest(resource: dict[str, Any]) -> None:
    assert resource["kind"] not in {"Secret", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
    if resource["kind"] != "Namespace":
        assert resource["metadata"]["namespace"] == "globalmart"


def test_the_namespace_takes_restricted_pods_alone() -> None:
    for overlay in OVERLAYS:
        labels = _of(overlay, "Namespace")["globalmart"]["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_pod_keeps_to_the_restricted_profile(workload: dict[str, Any]) -> None:
    pod, main = _pod(workload), _main(workload)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert main["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not any("hostPath" in volume for volume in pod["volumes"])


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_container_has_its_share_and_says_how_it_is(workload: dict[str, Any]) -> None:
    main = _main(workload)
    requests, limits = main["resources"]["requests"], main["resources"]["limits"]
    assert requests["memory"] == limits["memory"]
    assert {"cpu", "memory"} == set(requests)
    assert {"cpu", "memory", "ephemeral-storage"} == set(limits)
    probes = {"startupProbe", "livenessProbe", "readinessProbe"} & set(main)
    assert len(probes) == (0 if workload["kind"] == "Job" else 3)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_images_are_those_of_the_compose_file(workload: dict[str, Any]) -> None:
    assert _main(workload)["image"] in {one["image"] for one in COMPOSE.values()}


@pytest.mark.parametrize("workload", WORKLOADS)
def test_what_is_mounted_is_there(workload: dict[str, Any]) -> None:
    pod = _pod(workload)
    volumes = {one["name"] for one in pod["volumes"]}
    volumes |= {one["metadata"]["name"] for one in workload["spec"].get("volumeClaimTemplates", [])}
    assert {mount["name"] for mount in _main(workload)["volumeMounts"]} == volumes
    claims = {one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"] if "persistentVolumeClaim" in one}
    assert claims <= {"shared"}


def _secrets(workload: dict[str, Any]) -> set[str]:
    volumes = _pod(workload)["volumes"]
    single = {one["secret"]["secretName"] for one in volumes if "secret" in one}
    return single | {
        part["secret"]["name"] for one in volumes if "projected" in one for part in one["projected"]["sources"]
    }


def test_each_process_is_given_the_secret_of_its_account(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, state_dir=tmp_path, api_key="key")
    ensure_credentials(settings)
    for overlay in OVERLAYS:
        for name, workload in _workloads(overlay).items():
            args = _main(workload).get("args", [])
            if args[:2] == ["container", "run"]:
                assert args[2] == name
                account = BY_NAME[name].prepare(settings).env.get("GLOBALMART_SERVICE", "reader")
                extra = {"globalmart-alertmanager-token"} if name == "monitor" else set()
                assert _secrets(workload) == {f"globalmart-{account}"} | extra
    made = {f"globalmart-{path.name.removesuffix('.env')}" for path in settings.secrets_dir.iterdir()}
    asked = {secret for overlay in OVERLAYS for one in _workloads(overlay).values() for secret in _secrets(one)}
    assert asked <= made | {"globalmart-reader"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_process_of_the_compose_file_is_there(overlay: str) -> None:
    own = {name for name, one in COMPOSE.items() if one.get("command", [])[:2] == ["container", "run"]}
    assert own | {"init"} <= set(_workloads(overlay))
    servers = {"kafka", "minio", "postgres"} & set(_workloads(overlay))
    assert servers == ({"kafka", "minio", "postgres"} if overlay == "single" else set())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_setting_named_is_one_with_a_value_that_it_takes(overlay: str) -> None:
    maps = [one for one in RENDERED[overlay] if one["metadata"]["name"].startswith("globalmart-settings")]
    (data,) = [one["data"] for one in maps]
    extra = {
        pair["name"]: pair["value"]
        for one in _workloads(overlay).values()
        for pair in _main(one).get("env", [])
        if pair["name"].startswith(PREFIX)
    }
    named = {key.removeprefix(PREFIX).lower(): value for key, value in {**data, **extra}.items()}
    assert set(named) <= set(Settings.model_fields)
    settings = Settings(_env_file=None, **named)
    assert {"kafka_bootstrap_servers", "s3_endpoint", "postgres_host", "postgres_port", "api_url"} <= set(named)
    if overlay == "single":
        assert settings.s3_endpoint == f"http://minio:{settings.s3_port}"


def test_probes_ask_the_health_routes_of_the_api() -> None:
    from api.routes.health import router

    paths = {route.path for route in router.routes}  # type: ignore[attr-defined]
    main = _main(_of("cluster", "Deployment")["api"])
    assert main["livenessProbe"]["httpGet"]["path"] == main["startupProbe"]["httpGet"]["path"] == "/health"
    assert main["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert {"/health", "/ready"} <= paths
    assert main["ports"] == [{"name": "http", "containerPort": Settings(_env_file=None).api_port}]


def test_a_process_that_waits_is_not_started_again() -> None:
    for name in ("streaming", "realtime", "refresher", "desk"):
        main = _main(_workloads("cluster")[name])
        health = ["globalmart", "container", "health", name]
        assert main["livenessProbe"]["exec"]["command"] == [*health, "--alive"]
        assert main["readinessProbe"]["exec"]["command"] == health


def test_the_api_grows_with_its_load() -> None:
    for overlay in OVERLAYS:
        spec = _of(overlay, "HorizontalPodAutoscaler")["api"]["spec"]
        assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}
        assert "replicas" not in _of(overlay, "Deployment")["api"]["spec"]
        assert 1 < spec["minReplicas"] < spec["maxReplicas"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_network_is_closed_but_for_what_is_named(overlay: str) -> None:
    policies = _of(overlay, "NetworkPolicy")
    assert policies["default-deny"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    clients = policies["to-servers"]["spec"]["podSelector"]["matchLabels"]
    for workload in _workloads(overlay).values():
        labels = workload["spec"]["template"]["metadata"]["labels"]
        is_client = _main(workload).get("args", [""])[0] == "container"
        assert not is_client or clients.items() <= labels.items()


def test_one_writer_each() -> None:
    for overlay in OVERLAYS:
        for name in ("streaming", "realtime"):
            assert _of(overlay, "StatefulSet")[name]["spec"]["replicas"] == 1
        for name in ("refresher", "desk", "dagster-daemon"):
            spec = _of(overlay, "Deployment")[name]["spec"]
            assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_spark_finds_its_drivers_by_service_and_port() -> None:
    maps, headless = _of("cluster", "ConfigMap"), _of("cluster", "Service")
    for name, stem in (("streaming", "spark-streaming"), ("dagster-daemon", "spark-batch")):
        (text,) = [one["data"]["spark-defaults.conf"] for key, one in maps.items() if key.startswith(stem)]
        conf = dict(line.split() for line in text.splitlines())
        assert conf["spark.driver.host"] == f"{name}.globalmart.svc"
        ports = {one["port"] for one in headless[name]["spec"]["ports"]}
        assert ports == {int(conf["spark.driver.port"]), int(conf["spark.blockManager.port"])}
        assert headless[name]["spec"]["clusterIP"] == "None"
    worker = _main(_of("cluster", "StatefulSet")["spark-worker"])
    offered = worker["args"][worker["args"].index("--memory") + 1]
    limit = worker["resources"]["limits"]["memory"]
    assert int(offered[:-1]) * UNITS[offered[-1]] < int(limit.removesuffix("Gi")) * 2**30


def test_the_renderer_is_the_environments_own() -> None:
    assert shutil.which(str(Path(sys.executable).with_name("kubectl")))
