"""The files that people deploy: what can be known of them without a cluster.

KubeRay's part is held against a table of its fields, read from `rayjob_types.go` and
`raycluster_types.go` of ray-project/kuberay, its samples and its guide on authentication; the
pods' part against the fields of Kubernetes that they use. Neither is the published CRD itself.
"""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "cluster" / "deploy"
RAY_VERSION = re.search(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)

STRING, BOOL, COUNT = {"type": "string"}, {"type": "boolean"}, {"type": "integer", "minimum": 0}
STRINGS = {"type": "object", "additionalProperties": STRING}
AMOUNTS = {
    "type": "object",
    "additionalProperties": {
        "type": ["integer", "string"],
        "pattern": r"^[0-9]+(\.[0-9]+)?(m|[kMGTPE]i?)?$",
    },
}


def fields(required: str = "", /, **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": optional,
        "required": required.split(),
        "additionalProperties": False,
    }


def many(item: Any) -> dict[str, Any]:
    return {"type": "array", "items": item}


REFERENCE = fields("name key", name=STRING, key=STRING, optional=BOOL)
CONTAINER = fields(
    "name image",
    name={"type": "string", "pattern": "^[a-z0-9-]{1,63}$"},
    image=STRING,
    args=many(STRING),
    command=many(STRING),
    env=many(
        fields("name", name=STRING, value=STRING, valueFrom=fields("", secretKeyRef=REFERENCE))
    ),
    ports=many(
        fields(
            "containerPort",
            name={"type": "string", "pattern": "^[a-z0-9-]{1,15}$"},
            containerPort=COUNT,
        )
    ),
    readinessProbe=fields("", exec=fields("", command=many(STRING)), periodSeconds=COUNT),
    resources=fields("", requests=AMOUNTS, limits=AMOUNTS),
    volumeMounts=many(
        fields("name mountPath", name=STRING, mountPath=STRING, readOnly=BOOL, subPath=STRING)
    ),
)
POD = fields(
    "spec",
    metadata=fields("", labels=STRINGS, annotations=STRINGS),
    spec=fields(
        "containers",
        containers={"type": "array", "items": CONTAINER, "minItems": 1},
        restartPolicy={"enum": ["Always", "OnFailure", "Never"]},
        securityContext=fields("", runAsUser=COUNT, runAsGroup=COUNT, fsGroup=COUNT),
        tolerations=many(
            fields(
                "", key=STRING, operator={"enum": ["Exists", "Equal"]}, effect=STRING, value=STRING
            )
        ),
        volumes=many(
            fields(
                "name",
                name=STRING,
                persistentVolumeClaim=fields("claimName", claimName=STRING),
                emptyDir=fields("", medium={"enum": ["", "Memory"]}, sizeLimit=STRING),
                configMap=fields("name", name=STRING),
            )
        ),
    ),
)
CLUSTER = fields(
    "headGroupSpec",
    rayVersion=STRING,
    suspend=BOOL,
    authOptions=fields("mode", mode={"enum": ["token"]}, secretName=STRING),
    enableInTreeAutoscaling=BOOL,
    autoscalerOptions=fields(
        "",
        idleTimeoutSeconds=COUNT,
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
        resources=fields("", requests=AMOUNTS, limits=AMOUNTS),
    ),
    headGroupSpec=fields(
        "template rayStartParams", template=POD, rayStartParams=STRINGS, serviceType=STRING
    ),
    workerGroupSpecs=many(
        fields(
            "groupName minReplicas maxReplicas rayStartParams template",
            groupName=STRING,
            replicas=COUNT,
            minReplicas=COUNT,
            maxReplicas=COUNT,
            idleTimeoutSeconds=COUNT,
            numOfHosts=COUNT,
            rayStartParams=STRINGS,
            template=POD,
        )
    ),
)
JOB = fields(
    "",
    entrypoint=STRING,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode"]},
    activeDeadlineSeconds=COUNT,
    backoffLimit=COUNT,
    submitterConfig=fields("", backoffLimit=COUNT),
    shutdownAfterJobFinishes=BOOL,
    ttlSecondsAfterFinished=COUNT,
    suspend=BOOL,
    metadata=STRINGS,
    runtimeEnvYAML=STRING,
    rayClusterSpec=CLUSTER,
)


def read(path: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / path).read_text()))


def one(path: str) -> dict[str, Any]:
    (document,) = read(path)
    return document


def cluster_specs() -> dict[str, dict[str, Any]]:
    return {
        "cluster": one("kuberay/raycluster.yaml")["spec"],
        "job": one("kuberay/rayjob.yaml")["spec"]["rayClusterSpec"],
    }


def pods(spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        yield group["template"]["spec"]


@pytest.mark.parametrize(
    ("path", "kind", "schema"),
    [("kuberay/raycluster.yaml", "RayCluster", CLUSTER), ("kuberay/rayjob.yaml", "RayJob", JOB)],
)
def test_manifests_have_only_fields_that_kuberay_knows(
    path: str, kind: str, schema: dict[str, Any]
) -> None:
    document = one(path)
    assert (document["apiVersion"], document["kind"]) == ("ray.io/v1", kind)
    jsonschema.validate(document["spec"], schema)


@pytest.mark.parametrize("name", ["cluster", "job"])
def test_pods_fit_together_and_ask_for_a_token(name: str) -> None:
    spec = cluster_specs()[name]
    assert RAY_VERSION is not None
    assert spec["rayVersion"] == RAY_VERSION[1]
    assert spec["authOptions"] == {"mode": "token"}
    for pod in pods(spec):
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} == volumes
            environment = {entry["name"]: entry for entry in container["env"]}
            assert environment["RAY_AUTH_MODE"]["value"] == "token"
            assert environment["NAS_ARTIFACTS"]["value"] == "/artifacts"


@pytest.mark.parametrize("name", ["cluster", "job"])
def test_only_the_head_is_told_where_the_store_is(name: str) -> None:
    head, *workers = (
        {entry["name"] for container in pod["containers"] for entry in container["env"]}
        for pod in pods(cluster_specs()[name])
    )
    assert "NAS_STORE" in head
    assert all("NAS_STORE" not in worker for worker in workers)


def test_store_and_claims_that_pods_name_are_made() -> None:
    made = {(d["kind"], d["metadata"]["name"]): d for d in read("kuberay/storage.yaml")}
    assert ("PersistentVolumeClaim", "nas-artifacts") in made
    database = made[("StatefulSet", "nas-postgres")]["spec"]
    jsonschema.validate(database["template"], POD)
    labels = database["template"]["metadata"]["labels"]
    assert database["selector"]["matchLabels"] == labels
    assert made[("Service", "nas-postgres")]["spec"]["selector"] == labels
    (container,) = database["template"]["spec"]["containers"]
    secrets = {e["name"] for e in container["env"] if "valueFrom" in e}
    assert secrets == {"POSTGRES_PASSWORD"}
    claims = {claim["metadata"]["name"] for claim in database["volumeClaimTemplates"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == claims


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_ray_up_takes_the_file_by_its_own_schema(cloud: str) -> None:
    import ray.autoscaler
    from ray.autoscaler._private.util import prepare_config, validate_config

    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    config = one(f"ray_up/{cloud}.yaml")
    jsonschema.validate(config, schema)
    prepared = prepare_config(config)  # with Ray's own defaults for the cloud
    validate_config(prepared)
    assert prepared["head_node_type"] in prepared["available_node_types"]
    options = " ".join(config["docker"]["run_options"])
    (path,) = config["file_mounts"]
    assert "RAY_AUTH_MODE=token" in options
    assert f"RAY_AUTH_TOKEN_PATH={path}" in options
    with pytest.raises(jsonschema.ValidationError):
        validate_config({**prepared, "head_nodetype": "head"})


def test_no_file_holds_a_secret_a_registry_or_a_path_of_somebodys_machine() -> None:
    for path in [p for p in DEPLOY.rglob("*") if p.is_file() and "__pycache__" not in p.parts]:
        text = path.read_text()
        assert not re.search(r"image:\s*\S+\.\S+/", text), path
        assert not re.search(r"(?i)(password|token|secret)\"?\s*[:=]\s*[\"']?[\w+/-]{12,}$", text)
        assert not re.search(r"://[^/\s:]+:[^@\s]+@", text), path
        assert not re.search("/(?:work|Users)/", text), path
        assert str(ROOT) not in text, path


def test_the_image_is_made_of_files_that_are_there_and_runs_as_nobody_special() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    assert [stage.split()[2] for stage in stages] == ["base", "cpu", "cuda"]
    copied = {s for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE) for s in line.split()}
    copied -= {"./"}
    assert copied
    assert all((ROOT / source).exists() for source in copied)
    kept = set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert kept == copied
    for stage in stages[1:]:
        assert re.findall(r"^USER (\S+)", stage, re.MULTILINE) == ["ray"]
        assert "-c constraints.txt" in stage


SRUN = """#!/bin/bash
while [[ "$1" == --* ]]; do shift; done
exec "$@"
"""
RAY = """#!/bin/bash
rights="$(stat -c %a "$RAY_AUTH_TOKEN_PATH")"
echo "ray $* mode=$RAY_AUTH_MODE file=$rights $(cat "$RAY_AUTH_TOKEN_PATH")" >>"$LOG"
if [ "$1" = start ]; then exec sleep 30; fi
grep -q -- --head "$LOG"
"""
NAS = """#!/bin/bash
sleep 0.5
echo "nas $* address=$RAY_ADDRESS $(cat "$RAY_AUTH_TOKEN_PATH")" >>"$LOG"
if [ -n "$WAITS" ]; then
    trap 'echo stopped >>"$LOG"; exit 1' TERM
    sleep 30 &
    wait
fi
exit "$NAS_STATUS"
"""


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """An environment in which srun runs commands here, and ray and nas write down their calls."""
    for name, text in (("srun", SRUN), ("ray", RAY), ("nas", NAS)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "home").mkdir()
    return {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "LOG": str(tmp_path / "log"),
        "NAS_STATUS": "0",
        "WAITS": "",
        "NAS_POLL_S": "0.1",
        "NAS_STORE": "postgresql://team@db/nas",
        "NAS_ARTIFACTS": "/shared/artifacts",
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NUM_NODES": "3",
        "SLURM_CPUS_PER_TASK": "16",
        "SLURMD_NODENAME": "node1",
    }


def sbatch(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["bash", str(DEPLOY / "slurm" / "nas.sbatch"), *arguments],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("status", [0, 1])
def test_slurm_starts_a_head_workers_and_the_job_with_one_private_token(
    slurm: dict[str, str], status: int
) -> None:
    process = sbatch({**slurm, "NAS_STATUS": str(status)}, "job.yaml", "--fresh")
    assert process.wait(timeout=30) == status
    lines = Path(slurm["LOG"]).read_text().splitlines()
    job = lines[-1]
    (head,) = [line for line in lines if line.startswith("ray start --block --head")]
    assert "--node-ip-address=node1 --port=24711" in head
    assert "--num-cpus=16 --num-gpus=0" in head
    assert job.startswith("nas run job.yaml --fresh address=node1:24711")
    workers = [line for line in lines if line.startswith("ray start --block --address=node1:24711")]
    assert len(workers) == 1
    tokens = {line.split()[-1] for line in lines}
    assert len(tokens) == 1
    (token,) = tokens
    assert re.fullmatch("[0-9a-f]{64}", token)
    assert all(line.count(token) == 1 for line in lines)  # read from the file, in no argument
    assert all("mode=token file=600" in line for line in lines if line.startswith("ray"))
    assert list(Path(slurm["HOME"]).iterdir()) == []


def test_slurms_warning_stops_the_job_cleanly(slurm: dict[str, str]) -> None:
    process = sbatch({**slurm, "WAITS": "yes"}, "job.yaml")
    log = Path(slurm["LOG"])
    deadline = time.monotonic() + 20
    while not (log.exists() and "nas run" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 1
    assert "stopped" in log.read_text()
    assert list(Path(slurm["HOME"]).iterdir()) == []


@pytest.mark.parametrize("missing", ["NAS_STORE", "NAS_ARTIFACTS"])
def test_slurm_without_a_place_for_results_says_so(slurm: dict[str, str], missing: str) -> None:
    process = sbatch({k: v for k, v in slurm.items() if k != missing}, "job.yaml")
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == 2
    assert f"`{missing}` must be set" in complaint


def test_the_slurm_script_can_be_run() -> None:
    assert (DEPLOY / "slurm" / "nas.sbatch").stat().st_mode & stat.S_IXUSR
