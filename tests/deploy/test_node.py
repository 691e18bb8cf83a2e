"""What runs on a cluster's machines: every command is a shell's, and node.sh is tried with made-up programs."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from ray.scripts.scripts import cli

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "node.sh"
COMMANDS = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
FILES = ["cluster.yaml", "deploy/local.yaml"]
# Every one notes how it was called. What is installed, what is mounted and how often a call fails lie in files.
FAKE = {
    "sudo": 'while [ "${1#-}" != "$1" ]; do shift; done; exec "$@"',
    "apt-get": 'fails apt-get && exit 100; [[ $* != *install* ]] || printf "%s\\n" "$@" >> $T/installed',
    "dpkg-query": 'for last in "$@"; do :; done; grep -qxF "$last" $T/installed && echo installed',
    "cloud-init": "exit 2",
    "mount": "fails mount && exit 32; echo > $T/mounted",
    "mountpoint": "test -e $T/mounted",
    "systemctl": ":",
    "exportfs": ":",
    "install": ":",
    "chown": ":",
    "shutdown": ":",
    "pgrep": 'fails pgrep && cat "$T/raylet"',
    "curl": 'test -d "$T/metadata" && cat "$T/metadata/${@: -1:1}" 2> /dev/null || exit 22',
    "tee": 'case $1 in /etc/*) cat > "$T/exports";; *) cat > "$1";; esac',
    "python3": 'mkdir -p "$3/bin"; for n in pip mlflow python; do cp "$T/bin/noted" "$3/bin/$n"; done',
    "noted": ":",
}
NOTES = """#!/bin/bash
echo "$(basename "$0") $*" >> "$T/called"
fails() {
  local n=$(cat "$T/fails-$1" 2> /dev/null || echo 0)
  echo $((n - 1)) > "$T/fails-$1"
  test "$n" -gt 0
}"""


def commands(name):
    config = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return [command for kind in COMMANDS for command in config.get(f"{kind}_commands", [])]


@pytest.fixture
def machine(tmp_path):
    """A machine on which nothing is installed yet; returns how to run node.sh there, and what was called."""
    programs, project = tmp_path / "bin", tmp_path / "imbalance-study"
    programs.mkdir()
    project.mkdir()
    (tmp_path / "installed").touch()
    shutil.copy(ROOT / "requirements.lock", project)
    for name, does in FAKE.items():
        (programs / name).write_text(f"{NOTES}\n{does}\n")
        (programs / name).chmod(0o755)

    def run(*words, **variables):
        (tmp_path / "called").write_text("")
        subprocess.run(
            ["bash", SCRIPT, *words],
            env={
                "T": str(tmp_path), "HOME": str(tmp_path), "PATH": f"{programs}:{os.environ['PATH']}", "USER": "me",
                "STUDY_STORAGE": str(tmp_path / "shared"), "STUDY_PROGRAMS": str(programs), "STUDY_PAUSE": "0",
                **variables,
            },
            check=True,
            timeout=60,
        )  # fmt: skip
        return (tmp_path / "called").read_text().splitlines()

    return tmp_path, run


@pytest.mark.parametrize("file", FILES)
def test_every_command_is_a_shells(file):
    for command in commands(file):
        subprocess.run(["sh", "-n", "-c", command], check=True)


def test_the_scripts_are_a_shells():
    for script in (ROOT / "deploy").glob("*.sh"):
        subprocess.run(["bash", "-n", script], check=True)
        if shutil.which("shellcheck"):
            subprocess.run(["shellcheck", script], check=True)


@pytest.mark.parametrize("file", FILES)
def test_rays_own_commands_all_demand_the_token(file):
    calls = [command for command in commands(file) if "/ray st" in command]
    assert len(calls) == 4 and all("RAY_AUTH_MODE=token" in call for call in calls)
    assert (ROOT / file).read_text(encoding="utf-8").count("/.ray/auth_token") >= 2


@pytest.mark.parametrize("file", FILES)
def test_one_command_sets_a_node_up(file):
    config = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))
    assert config["setup_commands"] == []
    assert [len(config[f"{kind}_setup_commands"]) for kind in ("head", "worker")] == [1, 1]


def test_a_head_installs_the_lock_and_exports_its_disk(machine):
    folder, run = machine
    called = run("head")
    assert f"pip install --quiet --requirement {folder}/imbalance-study/requirements.lock" in called
    assert "exportfs -ra" in called and not [call for call in called if call.startswith("mount ")]
    exports = (folder / "exports").read_text()
    assert f"{folder}/shared 172.16.0.0/12(rw,sync,no_subtree_check)" in exports and "*" not in exports
    lock = hashlib.sha256((ROOT / "requirements.lock").read_bytes()).hexdigest()
    assert lock in (folder / "venv" / "installed").read_text()


def test_a_head_exports_its_disk_to_those_alone_that_are_named(machine):
    folder, run = machine
    run("head", STUDY_SHARED_TO="192.0.2.11 192.0.2.12")
    exported = [line.split()[1] for line in (folder / "exports").read_text().splitlines()]
    assert exported == [f"192.0.2.{n}(rw,sync,no_subtree_check)" for n in (11, 12)]


def test_a_second_time_nothing_is_installed_again_until_the_lock_changes(machine):
    folder, run = machine
    run("head")
    again = run("head")
    assert not [call for call in again if call.startswith(("apt-get", "python3", "cloud-init"))]
    assert not [call for call in again if "requirements.lock" in call]
    (folder / "imbalance-study" / "requirements.lock").write_text("ray==2.60.0\n")
    assert [call for call in run("head") if "requirements.lock" in call]


def test_apts_locks_and_a_late_file_system_are_waited_for(machine):
    folder, run = machine
    (folder / "fails-apt-get").write_text("2")
    (folder / "fails-mount").write_text("3")
    called = run("worker", RAY_HEAD_IP="10.0.0.5")
    assert len([call for call in called if call == "apt-get -qq update"]) > 2
    mounts = [call for call in called if call.startswith("mount ")]
    assert len(mounts) == 4 and mounts[0].endswith(f"10.0.0.5:{folder}/shared {folder}/shared")


def test_a_file_system_of_ones_own_is_mounted_by_head_and_workers(machine):
    folder, run = machine
    for role in ("head", "worker"):
        (folder / "mounted").unlink(missing_ok=True)
        called = run(role, STUDY_SHARED_FROM="fs-1.efs.example:/")
        assert [call for call in called if call.startswith("mount ") and "fs-1.efs.example:/" in call]
        assert "exportfs -ra" not in called


def test_the_programs_know_the_token_the_storage_and_mlflow(machine):
    folder, run = machine
    run("head")
    for name in ("ray", "study"):
        program = folder / "venv" / "bin" / name
        program.write_text('#!/bin/sh\nenv; echo "$@"\n')
        program.chmod(0o755)
    told = subprocess.run(
        [folder / "bin" / "study", "adme", "a b"], capture_output=True, text=True, check=True
    ).stdout
    assert told.endswith("adme a b\n")
    for line in (
        "RAY_AUTH_MODE=token",
        f"STUDY_STORAGE={folder}/shared",
        "MLFLOW_TRACKING_URI=http://127.0.0.1:5000",
    ):
        assert line in told.splitlines()
    told = subprocess.run(
        [folder / "bin" / "ray", "status"], capture_output=True, text=True, check=True
    ).stdout
    assert "RAY_AUTH_MODE=token" in told


def test_a_server_that_does_not_answer_is_started_with_one_worker_and_ends_with_ray(machine):
    folder, run = machine
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = str(unused.getsockname()[1])
    run("head")
    for name, does in (
        ("mlflow", 'echo "$@" $MLFLOW_SERVER_ENABLE_JOB_EXECUTION; exec sleep 600'),
        ("ray", ":"),
    ):
        (folder / "venv" / "bin" / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / "venv" / "bin" / name).chmod(0o755)
    run("mlflow", STUDY_MLFLOW_PORT=port)
    log, deadline = folder / "shared" / "mlflow" / "server.log", time.monotonic() + 10
    while not (log.exists() and log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert f"--host 127.0.0.1 --port {port} --workers 1" in log.read_text()
    assert log.read_text().endswith(" false\n"), "the server's jobs stay off"
    assert f"sqlite:///{folder}/shared/mlflow/mlflow.db" in log.read_text()
    server = int((folder / "shared" / "mlflow" / "server.pid").read_text())
    assert Path(f"/proc/{server}").exists()
    (folder / "imbalance-study" / "deploy").symlink_to(ROOT / "deploy")
    subprocess.run(
        [folder / "bin" / "ray", "stop"],
        env={"HOME": str(folder), "PATH": os.environ["PATH"], "STUDY_STORAGE": str(folder / "shared")},
        check=True,
    )
    while ends := Path(f"/proc/{server}/stat").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not ends and not (folder / "shared" / "mlflow" / "server.pid").exists()


def test_a_worker_without_ray_switches_itself_off(machine):
    _, run = machine
    assert run("watch")[-1] == "shutdown -h now"


RAYLET = (
    "77 /venv/raylet --raylet_socket_name=/tmp/raylet --python_worker_command=/venv/python worker.py "
    "--gcs-address=10.0.0.5:6379 --session-name=s --node_id=ab12 --gcs-address=10.0.0.5:6379 "
    "--dashboard_agent_command=/venv/agent.py --node-id=cd34 --gcs-address=10.0.0.5:6379\n"
)
METADATA = "http://169.254.169.254/latest"


@pytest.fixture
def spot(machine):
    """A worker with a raylet on a machine that EC2 may take back; returns how to watch it, and Ray's calls."""
    folder, run = machine
    answers = folder / "metadata" / METADATA
    (answers / "api").mkdir(parents=True)
    (answers / "meta-data" / "spot").mkdir(parents=True)
    (answers / "api" / "token").write_text("secret")
    (folder / "raylet").write_text(RAYLET)
    (folder / "venv" / "bin").mkdir(parents=True)
    program = folder / "venv" / "bin" / "ray"
    program.write_text(f'{NOTES}\nfails ray && exit 1; printf "%s\\n" "$RAY_AUTH_MODE" "$@" > "$T/drained"\n')
    program.chmod(0o755)

    def watch(ticks=3):
        (folder / "fails-pgrep").write_text(str(ticks))
        return [call for call in run("watch") if call.startswith("ray ")]

    return folder, answers / "meta-data" / "spot" / "instance-action", watch


def test_a_spot_machine_that_is_taken_back_is_drained_once_as_ray_has_it(spot):
    folder, notice, watch = spot
    notice.write_text('{"action": "terminate", "time": "2026-01-01T00:00:00Z"}')
    (folder / "fails-ray").write_text("1")
    assert len(watch()) == 2, "a drain that fails is tried again, one that was taken is not"
    mode, command, *words = (folder / "drained").read_text().splitlines()
    given = cli.commands[command].make_context(command, words).params
    assert mode == "token" and (given["address"], given["node_id"]) == ("10.0.0.5:6379", "ab12")
    assert given["reason"] == "DRAIN_NODE_REASON_PREEMPTION" and given["deadline_remaining_seconds"] == 120
    asked = [call for call in (folder / "called").read_text().splitlines() if call.startswith("curl ")]
    assert "--request PUT" in asked[0] and "X-aws-ec2-metadata-token: secret" in asked[1]
    assert all("--max-time 2" in call for call in asked)


def test_nothing_is_drained_without_a_notice_or_outside_of_aws(spot):
    folder, notice, watch = spot
    assert watch() == []
    notice.write_text("<html>a page of the network's</html>")
    assert watch() == []
    shutil.rmtree(folder / "metadata")
    assert watch() == []


def test_an_unknown_word_is_told(machine):
    _, run = machine
    with pytest.raises(subprocess.CalledProcessError) as refused:
        run("hed")
    assert refused.value.returncode == 2
