"""The chart of deploy/helm, rendered: every document is held against the schemas of Kubernetes and our own commands."""

import functools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest
import yaml
from kubernetes_validate import validate

from penstock.cli import commands
from penstock.config import PREFIX, describe

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "penstock"
KUBERNETES = "1.31.0"
HELM = os.environ.get("HELM") or shutil.which("helm") or shutil.which(str(ROOT / ".infra" / "bin" / "helm"))

EVERYTHING = {
    "settings": {"stream": "kafka://kafka:9092", "log_format": "json", "archive": "s3://fraud/decisions"},
    "secretEnv": {"PENSTOCK_LEDGER": {"name": "stores", "key": "ledger"}},
    "kafkaProperties": {"name": "kafka", "key": "client.properties"},
    "personalKey": {"name": "personal", "key": "k"},
    "volumes": [{"name": "mine", "configMap": {"name": "mine"}}],
    "volumeMounts": [{"name": "mine", "mountPath": "/mine"}],
    "api": {"ingress": {"enabled": True, "host": "fraud.example.com", "className": "nginx", "tlsSecret": "tls"}},
    "networkPolicy": {"enabled": True, "metricsFrom": [{"namespaceSelector": {}}]},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "key": {"name": "key", "key": "key"}},
    "image": {"pullSecrets": ["registry"]},
    "podAnnotations": {"a": "b"},
    "nodeSelector": {"a": "b"},
    "tolerations": [{"operator": "Exists"}],
    "trainer": {"data": "s3://fraud/decisions", "args": ["--promote", "never"]},
}
FILES = {"defaults": None, "aws": "values-aws.yaml", "google-cloud": "values-google-cloud.yaml", "everything": None}

rendered_by_helm = pytest.mark.skipif(
    HELM is None, reason="helm is not here: go install helm.sh/helm/v3/cmd/helm@latest, and HELM names it"
)


def helm(values, *files):
    """What `helm template` says to these values, on top of those files of values."""
    command = [HELM, "template", "fraud", str(CHART), "--kube-version", KUBERNETES, "--values", "-"]
    for file in files:
        command[4:4] = ["--values", str(CHART / file)]
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, timeout=600, check=False)


@functools.cache
def documents(name):
    values = EVERYTHING if name == "everything" else {"trainer": {"data": "s3://fraud/decisions"}}
    done = helm(values, *([FILES[name]] if FILES[name] else []))
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def of_kind(name, *kinds):
    return [each for each in documents(name) if each["kind"] in kinds]


def pods(name):
    """The specs of all pods, with the kinds and names of what makes them."""
    for each in of_kind(name, "StatefulSet", "Job", "CronJob"):
        spec = each["spec"]["jobTemplate"]["spec"] if each["kind"] == "CronJob" else each["spec"]
        yield each["metadata"]["name"], spec["template"]["spec"]


@rendered_by_helm
@pytest.mark.parametrize("name", FILES)
def test_every_document_is_one_that_kubernetes_knows(name):
    found = [each for each in documents(name) if not each["apiVersion"].startswith("monitoring.coreos.com/")]
    assert len(found) >= 8
    for each in found:
        validate(each, ".".join(KUBERNETES.split(".")[:2]), strict=True)


@rendered_by_helm
def test_everything_that_can_be_asked_for_comes():
    kinds = {each["kind"] for each in documents("everything")}
    assert kinds == {
        "StatefulSet", "Service", "ServiceAccount", "Job", "CronJob",
        "PodDisruptionBudget", "NetworkPolicy", "ServiceMonitor", "Ingress",
    }  # fmt: skip
    assert "NetworkPolicy" not in {each["kind"] for each in documents("defaults")}


@rendered_by_helm
@pytest.mark.parametrize("name", FILES)
def test_every_container_calls_a_command_that_exists_with_its_options(name):
    called = set()
    for _, pod in pods(name):
        for container in pod["containers"]:
            lines = [container["args"]] if "command" not in container else [
                line.split()[1:] for line in container["args"][0].split("&&")
            ]  # fmt: skip
            for arguments in lines:
                command = commands
                rest = list(arguments)
                while isinstance(command, click.Group):
                    command = command.get_command(click.Context(command), rest.pop(0))
                known = {option for parameter in command.params for option in parameter.opts}
                assert {word for word in rest if word.startswith("--")} <= known
                called.add(arguments[0])
    assert called >= {"serve", "worker", "trainer", "topics"}


@rendered_by_helm
@pytest.mark.parametrize("name", FILES)
def test_every_variable_of_penstock_is_a_setting_and_no_pod_is_told_of_services(name):
    settings = {PREFIX + setting.name.upper() for setting in describe()}
    for _, pod in pods(name):
        assert pod["enableServiceLinks"] is False  # a Service called penstock would set PENSTOCK_PORT=tcp://...
        for container in pod["containers"]:
            names = [variable["name"] for variable in container["env"]]
            assert len(names) == len(set(names))
            assert {each for each in names if each.startswith(PREFIX)} <= settings


@rendered_by_helm
@pytest.mark.parametrize("name", FILES)
def test_no_pod_runs_as_root_or_may_become_it(name):
    for _, pod in pods(name):
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["requests"]
            assert container["resources"]["limits"]["memory"]


def test_the_user_of_the_pods_is_that_of_the_image():
    assert "--uid 10001" in (ROOT / "Dockerfile").read_text()


@rendered_by_helm
@pytest.mark.parametrize("name", FILES)
def test_what_decides_and_answers_is_asked_whether_it_lives_and_is_ready(name):
    for each in of_kind(name, "StatefulSet"):
        [container] = each["spec"]["template"]["spec"]["containers"]
        asked = {probe: container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")}
        assert asked == {"startup": "/health", "liveness": "/health", "readiness": "/ready"}
        assert [port["name"] for port in container["ports"]] == ["http"]


@rendered_by_helm
@pytest.mark.parametrize("name", FILES)
def test_services_budgets_policies_and_monitors_choose_pods_that_there_are(name):
    made = [each["spec"]["template"]["metadata"]["labels"].items() for each in of_kind(name, "StatefulSet")]
    for each in of_kind(name, "Service", "PodDisruptionBudget", "NetworkPolicy"):
        chosen = each["spec"].get("podSelector", each["spec"].get("selector"))
        chosen = chosen.get("matchLabels", chosen)
        assert sum(chosen.items() <= labels for labels in made) == 1
    services = [each["metadata"]["labels"].items() for each in of_kind(name, "Service")]
    for each in of_kind(name, "ServiceMonitor"):
        assert sum(each["spec"]["selector"]["matchLabels"].items() <= labels for labels in services) == 1


@rendered_by_helm
@pytest.mark.parametrize("name", FILES)
def test_what_is_mounted_exists_and_passwords_stand_in_secrets_alone(name):
    for made in of_kind(name, "StatefulSet", "Job", "CronJob"):
        claims = {claim["metadata"]["name"] for claim in made["spec"].get("volumeClaimTemplates", [])}
        pod = dict(pods(name))[made["metadata"]["name"]]
        volumes = {volume["name"] for volume in pod["volumes"]} | claims
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    assert re.findall(r"://[^/@\s]*:[^/@\s]+@", json.dumps(documents(name))) == []


@rendered_by_helm
def test_standbys_are_replicas_of_the_worker_and_one_at_a_time_may_be_taken_away():
    [worker] = [each for each in of_kind("defaults", "StatefulSet") if each["metadata"]["name"].endswith("-worker")]
    assert worker["spec"]["replicas"] == 2
    assert {each["spec"]["maxUnavailable"] for each in of_kind("defaults", "PodDisruptionBudget")} == {1}


@rendered_by_helm
@pytest.mark.parametrize(("values", "said"), [
    ({"api": {"replicas": 0}}, "replicas"),
    ({"worker": {"replicaCount": 2}}, "replicaCount"),
    ({"settings": {"ledger": "postgresql://me:secret@db/penstock"}}, "ledger"),
    ({"secretEnv": {"PENSTOCK_LEDGER": {"name": "stores"}}}, "key"),
    ({"worker": {"storage": {"size": "lots"}}}, "size"),
    ({"trainer": {"data": ""}}, "trainer.data"),
])  # fmt: skip
def test_values_that_cannot_be_are_refused_with_their_place(values, said):
    done = helm({"trainer": {"data": "x"}} | values)
    assert done.returncode != 0
    assert said in done.stderr


@pytest.mark.parametrize("name", ["values.yaml", "values-aws.yaml", "values-google-cloud.yaml"])
def test_settings_in_files_of_values_exist(name):
    used = set(yaml.safe_load((CHART / name).read_text())["settings"])
    assert used <= {setting.name for setting in describe()}


def test_the_schema_knows_every_value_and_the_values_every_key_of_the_schema():
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(values) == set(schema["properties"]) - {"global"}


def test_the_chart_is_of_this_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    [version] = re.findall(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert chart["appVersion"] == version


@rendered_by_helm
def test_a_field_that_kubernetes_does_not_know_is_found():
    [worker] = [each for each in of_kind("defaults", "StatefulSet") if each["metadata"]["name"].endswith("-worker")]
    with pytest.raises(Exception, match="replica_count"):
        validate(worker | {"spec": {**worker["spec"], "replica_count": 1}}, "1.31", strict=True)
