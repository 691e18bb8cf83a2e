"""Own machines, Kubernetes, Slurm, SkyPilot: every file by what its own tool takes, as far as that goes without it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import cli
from ray.scripts.symmetric_run import curate_and_validate_ray_start_args

from study.command.launch_arguments import build_parser
from study.run.capacity import Autoscaler, autoscaler_of

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
# The fields of KubeRay's v1 API that the file may use, by their places; those of pods are Kubernetes' own.
RAY_JOB = {
    "": {"entrypoint", "submissionMode", "backoffLimit", "deletionStrategy", "rayClusterSpec", "submitterConfig",
         "activeDeadlineSeconds", "runtimeEnvYAML", "entrypointNumCpus", "suspend", "metadata"},
    "deletionStrategy": {"deletionRules"},
    "rayClusterSpec": {"rayVersion", "authOptions", "enableInTreeAutoscaling", "autoscalerOptions", "headGroupSpec",
                       "workerGroupSpecs"},
    "rayClusterSpec.authOptions": {"mode", "secretName"},
    "rayClusterSpec.autoscalerOptions": {"version", "idleTimeoutSeconds", "upscalingMode", "resources", "env"},
    "rayClusterSpec.headGroupSpec": {"rayStartParams", "template", "serviceType"},
    "rayClusterSpec.workerGroupSpecs": {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams",
                                        "template", "idleTimeoutSeconds"},
}  # fmt: skip
SKYPILOT = {"name", "workdir", "num_nodes", "resources", "envs", "secrets", "file_mounts", "setup", "run"}
SKYPILOT_RESOURCES = {"infra", "accelerators", "cpus", "memory", "instance_type", "use_spot", "disk_size", "disk_tier",
                      "ports", "image_id", "any_of", "ordered", "autostop", "labels"}  # fmt: skip


SKYPILOT_AUTOSTOP = {"idle_minutes", "wait_for", "down", "hook", "hook_timeout"}
HOMES = ("local.yaml", "kuberay.yaml", "slurm.sh", "skypilot.yaml")


def pinned(package):
    (version,) = re.findall(rf"^{package}==(\S+)$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    return version


def is_a_launch(words):
    return build_parser().parse_args(words).name == "adme"


@pytest.fixture
def ray_job():
    (job,) = [d for d in yaml.safe_load_all((DEPLOY / "kuberay.yaml").read_text()) if d["kind"] == "RayJob"]
    return job["spec"]


def test_rays_own_schema_accepts_the_cluster_of_own_machines():
    config = prepare_config(yaml.safe_load((DEPLOY / "local.yaml").read_text(encoding="utf-8")))
    validate_config(config)
    assert config["provider"]["type"] == "local" and "--num-cpus=0" in "".join(
        config["head_start_ray_commands"]
    )


def test_own_machines_are_awaited_as_many_as_the_file_names_whatever_each_of_them_has():
    started = prepare_config(yaml.safe_load((DEPLOY / "local.yaml").read_text(encoding="utf-8")))
    assert autoscaler_of(yaml.safe_dump(started)) == Autoscaler(most=len(started["provider"]["worker_ips"]))


@pytest.mark.parametrize("place", RAY_JOB)
def test_the_ray_job_uses_fields_that_kuberay_has(ray_job, place):
    found = ray_job
    for part in filter(None, place.split(".")):
        found = found[part]
    for each in found if isinstance(found, list) else [found]:
        assert each.keys() <= RAY_JOB[place]


def test_the_ray_job_demands_a_token_grows_and_ends(ray_job):
    cluster = ray_job["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"} and cluster["enableInTreeAutoscaling"]
    assert cluster["rayVersion"] == pinned("ray")
    rules = {
        rule["condition"]["jobStatus"]: rule["policy"]
        for rule in ray_job["deletionStrategy"]["deletionRules"]
    }
    # KubeRay deletes no workers of a cluster that its autoscaler sizes.
    assert rules == {"SUCCEEDED": "DeleteCluster", "FAILED": "DeleteCluster"}
    assert "shutdownAfterJobFinishes" not in ray_job  # it and rules shut one another out
    program, *words = shlex.split(ray_job["entrypoint"])
    assert program == "study" and is_a_launch(words)
    head = cluster["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    for group in (head, *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert container["image"].endswith("/imbalance-study:0.1.0")
        assert container["resources"]["limits"] == container["resources"]["requests"]
        assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
        for option in group["rayStartParams"]:
            assert f"--{option}" in {name for p in cli.commands["start"].params for name in p.opts}


@pytest.mark.slow
def test_the_images_build_steps_lead_to_the_program(tmp_path):
    """Every step is done, in a folder: nothing is fetched, and what the lock pins is what this environment holds."""
    steps = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    programs, site, folder = tmp_path / "bin", tmp_path / "site", tmp_path
    programs.mkdir()
    python = 'case "$*" in *--requirement*) export PIP_DRY_RUN=1;; *) export PIP_TARGET="$SITE";; esac'
    for name, does in (("apt-get", ":"), ("useradd", ":"), ("rm", ":"),
                       ("python", f'{python}\nPIP_NO_INDEX=1 exec {sys.executable} "$@"')):  # fmt: skip
        (programs / name).write_text(f"#!/bin/bash\n{does}\n")
        (programs / name).chmod(0o755)
    environment = os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "SITE": str(site),
    }
    command = None
    for step in steps:
        word, _, rest = step.partition(" ")
        if word == "WORKDIR":
            folder = tmp_path / rest.strip("/")
            folder.mkdir(parents=True)
        elif word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                assert f"!{source}" in (ROOT / ".dockerignore").read_text().splitlines()
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, folder / target)
                else:
                    shutil.copy(ROOT / source, folder / target)
        elif word == "RUN":
            subprocess.run(["sh", "-ec", rest], cwd=folder, env=environment, check=True)
        elif word == "CMD":
            command = yaml.safe_load(rest)
        else:
            assert word in ("", "#", "FROM", "USER"), step
    told = subprocess.run(
        [site / "bin" / command[0], *command[1:]],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "usage: study COMMAND" in told.stdout


@pytest.mark.parametrize("has_models", [False, True])
def test_slurm_starts_ray_on_every_node_and_the_study_on_the_first(tmp_path, has_models):
    programs, storage = tmp_path / "bin", tmp_path / "results"
    if has_models:  # at home, where they stay in use
        (tmp_path / ".cache" / "huggingface").mkdir(parents=True)
    programs.mkdir()
    for name, does in (
        ("scontrol", "printf 'node7\\nnode8\\nnode9\\n'"),
        ("srun", 'echo "${HF_HOME:-}"; printf "%s\\n" "$@"; '
                 'echo "$RAY_AUTH_MODE $(stat -c %a "$RAY_AUTH_TOKEN_PATH") $STUDY_STORAGE"; '
                 'wc -c < "$RAY_AUTH_TOKEN_PATH"'),
    ):  # fmt: skip
        (programs / name).write_text(f"#!/bin/sh\n{does}\n")
        (programs / name).chmod(0o755)
    slurm = {
        "SLURM_JOB_ID": "41",
        "SLURM_JOB_NUM_NODES": "3",
        "SLURM_CPUS_PER_TASK": "8",
        "SLURM_JOB_NODELIST": "n",
    }
    done = subprocess.run(
        ["bash", DEPLOY / "slurm.sh", "adme", "--preset", "cluster"],
        cwd=tmp_path,
        env=slurm | {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    hub, *words, access, length = done.stdout.splitlines()
    assert words[:2] == ["ray", "symmetric-run"] and hub == ("" if has_models else f"{storage}/hub")
    separator = words.index("--")
    context = cli.commands["symmetric-run"].make_context(
        "symmetric-run", words[2:separator], resilient_parsing=True
    )
    assert context.params["address"] == "node7:20041" and context.params["min_nodes"] == 3
    of_ray = curate_and_validate_ray_start_args(words[2:separator])
    assert cli.commands["start"].make_context("start", ["--head", *of_ray]).params["num_cpus"] == 8
    entry = words[separator + 1 :]
    assert entry[:5] == ["env", "RAY_ADDRESS=node7:20041", "python", "-m", "study.launch"] and is_a_launch(
        entry[5:]
    )
    assert access == f"token 600 {storage}" and length == "64"
    assert list(storage.iterdir()) == [], "the token ends with the job"


@pytest.mark.parametrize("home", ["cluster.yaml", *(f"deploy/{name}" for name in HOMES)])
def test_models_are_downloaded_once_for_all_nodes(home):
    """Every home puts the Hub's files on what its nodes share."""
    text = (ROOT / home).read_text(encoding="utf-8")
    found = re.findall(r"HF_HOME(?:=|, value: )(\$\{[^}]*\}|[^\s},]+)", text)
    shared = "${HF_HOME:-$STUDY_STORAGE/hub}" if home.endswith(".sh") else "/mnt/study/hub"
    assert found and {*found} == {shared}


def test_skypilots_machines_are_stopped_after_the_study_and_keep_their_disks():
    task = yaml.safe_load((DEPLOY / "skypilot.yaml").read_text(encoding="utf-8"))
    stops = task["resources"]["autostop"]
    assert stops.keys() <= SKYPILOT_AUTOSTOP and 10 <= stops["idle_minutes"] <= 60
    assert not stops.get("down"), "the results are on the first machine's disk"


def test_skypilots_file_uses_its_fields_and_shells_commands():
    task = yaml.safe_load((DEPLOY / "skypilot.yaml").read_text(encoding="utf-8"))
    assert task.keys() <= SKYPILOT and task["resources"].keys() <= SKYPILOT_RESOURCES
    for part in ("setup", "run"):
        subprocess.run(["bash", "-n", "-c", task[part]], check=True)
        assert "ray stop" not in task[part] and "symmetric-run" not in task[part], (
            "they end SkyPilot's own Ray"
        )
    starts = re.findall(r"bin/ray start (.*?)(?: &&|$)", task["run"], re.MULTILINE)
    assert len(starts) == 2 and "RAY_AUTH_MODE=token" in task["run"]
    for words in starts:
        cli.commands["start"].make_context("start", shlex.split(words))
    assert is_a_launch(shlex.split(task["envs"]["STUDY"]))
