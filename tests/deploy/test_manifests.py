"""The project's own rules over the rendered manifests."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from pydantic import AliasChoices
from pydantic_settings import BaseSettings

ROOT = Path(__file__).parents[2]
OVERLAYS = ("local", "production")
DEPLOYMENTS = {
    "conversation-service": ["conversation_service.settings:ConversationSettings"],
    "intent-service": ["intent_service.settings:IntentSettings"],
    "llm-service": ["llm_service.settings:LlmSettings"],
    "kommo-service": ["kommo_service.settings:KommoSettings"],
    "gateway-web": ["gateway.settings:GatewaySettings"],
    "gateway-worker": ["gateway.worker.settings:WorkerSettings"],
}
# Said by the Secrets that a Deployment mounts, or the simulator's own.
SECRET_SETTINGS = {"MESH_DATABASE_URL", "MESH_OPENAI_API_KEY"}


def render(overlay: str) -> list[dict]:
    command = [str(Path(sys.executable).parent / "kubectl"), "kustomize", str(ROOT / "deploy" / "overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture(scope="session", params=OVERLAYS)
def documents(request: pytest.FixtureRequest) -> list[dict]:
    return render(request.param)


@pytest.fixture(scope="session")
def production() -> list[dict]:
    return render("production")


def of_kind(documents: list[dict], *kinds: str) -> dict[str, dict]:
    return {one["metadata"]["name"]: one for one in documents if one["kind"] in kinds}


def pods(documents: list[dict]) -> dict[str, dict]:
    found = of_kind(documents, "Deployment", "Job")
    return {name: one["spec"]["template"] for name, one in found.items()}


def containers(documents: list[dict]) -> list[tuple[str, dict]]:
    return [(name, one) for name, pod in pods(documents).items() for one in pod["spec"]["containers"]]


def variables(documents: list[dict], deployment: str) -> dict[str, str]:
    """Return the literal variables of a Deployment's container, ConfigMaps included."""
    container = pods(documents)[deployment]["spec"]["containers"][0]
    maps = of_kind(documents, "ConfigMap")
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found.update(maps[source["configMapRef"]["name"]]["data"])
    found.update({one["name"]: one.get("value", "") for one in container.get("env", [])})
    return found


def settings_classes(deployment: str) -> list[type[BaseSettings]]:
    found = []
    for path in DEPLOYMENTS[deployment]:
        module, _, name = path.partition(":")
        found.append(getattr(import_module(module), name))
    return found


def variable_names(settings: type[BaseSettings]) -> dict[str, bool]:
    """Return each variable that a settings class reads, and whether it is required."""
    names = {}
    for name, field in settings.model_fields.items():
        alias = field.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias or f"MESH_{name}"]
        mesh = next((str(one) for one in choices if str(one).upper().startswith("MESH_")), f"MESH_{name}")
        names[mesh.upper()] = field.is_required()
    return names


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_given_variable_in_a_manifest_when_compared_then_the_settings_have_it(documents: list[dict], deployment: str):
    known = {name for one in settings_classes(deployment) for name in variable_names(one)}
    mentioned = {name for name in variables(documents, deployment) if name.startswith("MESH_")}
    shared = {"MESH_CONVERSATION_ADDRESS", "MESH_INTENT_ADDRESS", "MESH_LLM_ADDRESS", "MESH_KOMMO_ADDRESS"}
    assert mentioned - known - shared == set()


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_given_setting_in_the_code_when_compared_then_the_manifests_say_it(documents: list[dict], deployment: str):
    said = set(variables(documents, deployment))
    fields = {name for one in settings_classes(deployment) for name in variable_names(one)}
    assert fields - said - SECRET_SETTINGS == set()


def test_given_pods_when_judged_then_they_meet_the_restricted_standard(documents: list[dict]):
    for name, pod in pods(documents).items():
        spec = pod["spec"]
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        for container in spec["containers"]:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, name
            assert own["readOnlyRootFilesystem"] is True, name
            assert own["capabilities"] == {"drop": ["ALL"]}, name


def test_given_containers_when_read_then_each_has_requests_a_memory_limit_and_no_cpu_limit(documents: list[dict]):
    for name, container in containers(documents):
        resources = container["resources"]
        assert {"cpu", "memory"} <= set(resources["requests"]), name
        assert set(resources["limits"]) == {"memory"}, name


def test_given_deployments_when_read_then_probes_prestop_and_grace_fit_together(documents: list[dict]):
    for name in of_kind(documents, "Deployment"):
        pod = pods(documents)[name]["spec"]
        (container,) = pod["containers"]
        assert {"readinessProbe", "livenessProbe"} <= set(container), name
        pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        told = variables(documents, name)
        stop = float(told.get("MESH_DRAIN_SECONDS", 0)) + float(told.get("MESH_GRACE_SECONDS", 0))
        assert pod["terminationGracePeriodSeconds"] > pause + stop, name


def test_given_ports_when_named_by_probes_services_and_policies_then_the_container_has_them(documents: list[dict]):
    ports = {
        name: {port["name"]: port["containerPort"] for port in container["ports"]}
        for name, container in containers(documents)
        if "ports" in container
    }
    for name, container in containers(documents):
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            check = container.get(probe, {})
            if "grpc" in check:
                assert check["grpc"]["port"] in ports[name].values(), (name, probe)
            if "httpGet" in check:
                assert check["httpGet"]["port"] in ports[name], (name, probe)
    for name, service in of_kind(documents, "Service").items():
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in ports[name], name
            assert ports[name][port["targetPort"]] == port["port"], name
    for name, policy in of_kind(documents, "NetworkPolicy").items():
        target = policy["spec"]["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name")
        for rule in policy["spec"].get("ingress") or []:
            assert {port["port"] for port in rule["ports"]} <= set(ports[target].values()), name


def edges_of_policies(documents: list[dict]) -> set[tuple[str, str]]:
    """Return (caller, callee) pairs that the callees' ingress and the callers' egress both allow."""
    label = "app.kubernetes.io/name"
    came, went = set(), set()
    for policy in of_kind(documents, "NetworkPolicy").values():
        here = policy["spec"]["podSelector"].get("matchLabels", {}).get(label)
        for rule in policy["spec"].get("ingress") or []:
            came |= {
                (peer["podSelector"]["matchLabels"][label], here) for peer in rule["from"] if "podSelector" in peer
            }
        for rule in policy["spec"].get("egress") or []:
            peers = [one["podSelector"]["matchLabels"] for one in rule["to"] if "podSelector" in one]
            went |= {(here, one[label]) for one in peers}
    assert came == went
    return came


def test_given_call_graph_in_the_settings_when_compared_then_policies_allow_just_that(production: list[dict]):
    targets = {f"{name}_address": f"{name}-service" for name in ("conversation", "intent", "llm", "kommo")}
    calls = {
        (deployment, targets[field])
        for deployment in DEPLOYMENTS
        for one in settings_classes(deployment)
        for field in one.model_fields
        if field in targets
    }
    assert edges_of_policies(production) == calls


def test_given_addresses_when_read_then_they_name_a_service_and_its_port(production: list[dict]):
    services = of_kind(production, "Service")
    told = variables(production, "gateway-worker")
    for key in ("CONVERSATION", "INTENT", "LLM", "KOMMO"):
        host, _, port = told[f"MESH_{key}_ADDRESS"].removeprefix("dns:///").rpartition(":")
        service = services[host.split(".")[0]]
        assert host == f"{service['metadata']['name']}.kommo-mesh.svc.cluster.local."
        assert service["spec"]["ports"][0]["port"] == int(port)
        assert service["spec"]["clusterIP"] == "None"


def test_given_production_when_rendered_then_images_have_digests_and_replicas_one_owner(production: list[dict]):
    for name, container in containers(production):
        assert "@sha256:" in container["image"], name
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in of_kind(production, "HorizontalPodAutoscaler").values()}
    for name, deployment in of_kind(production, "Deployment").items():
        assert ("replicas" in deployment["spec"]) != (name in scaled), name
        strategy = deployment["spec"]["strategy"]["rollingUpdate"]
        assert (strategy["maxSurge"], strategy["maxUnavailable"]) == (1, 0)
    assert "kommo-service" not in scaled
    assert all(one["spec"]["minReplicas"] >= 2 for one in of_kind(production, "HorizontalPodAutoscaler").values())


def test_given_local_overlay_when_rendered_then_sqlite_has_one_writer_and_a_volume():
    local = render("local")
    deployment = of_kind(local, "Deployment")["conversation-service"]
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    assert any("persistentVolumeClaim" in volume for volume in volumes)
    assert variables(local, "conversation-service")["MESH_DATABASE_URL"].startswith("sqlite:////var/lib/kommo-mesh/")


def test_given_selectors_when_matched_then_each_finds_its_own_pods_and_no_others(documents: list[dict]):
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(documents).items()}
    for kind in ("Service", "PodDisruptionBudget"):
        for name, one in of_kind(documents, kind).items():
            selector = one["spec"]["selector"]
            wanted = selector.get("matchLabels", selector)
            found = [pod for pod, own in labels.items() if wanted.items() <= own.items()]
            assert found == [name], (kind, name)


def test_given_config_maps_when_used_then_a_change_is_a_new_name(documents: list[dict]):
    maps = of_kind(documents, "ConfigMap")
    assert all(len(name.rsplit("-", 1)[-1]) == 10 for name in maps), maps


def test_given_documents_when_searched_then_no_secret_lies_in_them(documents: list[dict]):
    assert not of_kind(documents, "Secret")


def test_given_dockerfiles_when_read_then_exec_form_and_no_root():
    for path in ROOT.glob("*/Dockerfile"):
        text = path.read_text()
        assert 'ENTRYPOINT ["/venv/bin/python"' in text, path
        assert "USER 10001" in text, path
        assert "alpine" not in text, path
