"""Three machines on this one, for `ray up`: see hosts.sh. Nothing that runs there reaches this machine's own Ray."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from benchmarks.mlflow_server import answers

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("hosts.sh")
STORAGE = "/mnt/study"
HEAD, WORKERS = 1, (2, 3)
TOOLS = ("ip", "unshare", "nsenter", "ssh", "ssh-keyscan", "ssh-keygen", "/usr/sbin/sshd", "rsync")
# The packages of this machine stand for those that a cluster's machine installs: the hosts have no network.
PROGRAMS = {
    "dpkg-query": "echo installed",
    "sudo": 'while [ "${1#-}" != "$1" ]; do shift; done; exec "$@"',
}
ENTRIES = {
    "pip": "from pip._internal.cli.main import main; sys.exit(main())",
    "ray": "from ray.scripts.scripts import main; sys.exit(main())",
    "mlflow": "from mlflow.cli import cli; sys.exit(cli())",
}


def run(command: Sequence[str], seconds: float = 900, codes: tuple[int, ...] = (0,)) -> str:
    """Run a command and return what it says; it has to end with one of some exit codes."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode in codes, f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done.stdout + done.stderr


def lacking(tools: Sequence[str] = TOOLS) -> str | None:
    """Return why there can be no hosts on this machine, or nothing else that needs some tools; None where there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return f"{', '.join(missing)} not installed" if missing else None


class Hosts:
    """A head and two workers.

    Parameters
    ----------
    folder
        An empty folder for all that belongs to them.
    name, net
        What tells them from those of another run: a short word, and the first three numbers of their addresses.
    """

    def __init__(self, folder: Path, name: str = "study", net: str = "10.77.7") -> None:
        self.folder, self.name, self.net = folder, name, net
        self.shared, self.home = folder / "shared", folder / "home"
        for each in (self.shared, self.home, folder / "tmp", folder / "ray", folder / "programs"):
            each.mkdir()
        for program, does in PROGRAMS.items():
            (folder / "programs" / program).write_text(f"#!/bin/sh\n{does}\n")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)

    def address(self, host: int) -> str:
        """Return a host's address."""
        return f"{self.net}.{10 + host}"

    def start(self) -> None:
        """Start all of them, each with a virtual environment that sees this machine's packages."""
        self._run("network", "3")
        site = sysconfig.get_path("purelib")
        within = f"/root/venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
        entries = "\n".join(
            f"printf '#!/root/venv/bin/python\\nimport sys\\n{code}\\n' > /root/venv/bin/{entry}; "
            f"chmod +x /root/venv/bin/{entry}"
            for entry, code in ENTRIES.items()
        )
        for host in (HEAD, *WORKERS):
            self._run("start", str(host))
            self.enter(host, "bash", "-ec", f"{sys.executable} -m venv --without-pip /root/venv\n"
                       f"echo {site} > {within}/machine.pth\n{entries}")  # fmt: skip

    def end(self) -> None:
        """End all of them, and the network."""
        self._run("end", "3")

    def enter(
        self, host: int, *command: str, check: bool = True, timeout: int = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host, with the environment of a new login."""
        clean = ["env", "-i", "HOME=/root", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"]
        return self._run("enter", str(host), *clean, *command, check=check, timeout=timeout)

    def listed(self, what: str, *options: str) -> list[dict[str, Any]]:
        """Return what the head's Ray lists: its nodes, its actors."""
        asked = self.enter(HEAD, "ray", "list", what, "--format", "json", "--limit", "1000", *options)
        found: list[dict[str, Any]] = json.loads(asked.stdout)
        return found

    def nodes(self) -> dict[str, str]:
        """Return the addresses of the nodes that are alive, by Ray's names for them."""
        return {node["node_id"]: node["node_ip"] for node in self.listed("nodes") if node["state"] == "ALIVE"}

    def wait_for_nodes(self) -> None:
        """Wait until the head and all workers are there; those that were lost are started again by the head."""
        deadline = time.monotonic() + 600
        while len(self.nodes()) < 1 + len(WORKERS):
            assert time.monotonic() < deadline, self.nodes()
            time.sleep(5)

    def link(self, host: int, state: str) -> None:
        """Put a host's connection to the others ``up`` or ``down``."""
        subprocess.run(["ip", "link", "set", f"{self.name}-{host}", state], check=True)

    @contextmanager
    def forwarded(self, cluster: str, port: int) -> Iterator[str]:
        """Forward the head's MLflow to this machine by Ray's own means; the address."""
        forward = subprocess.Popen(
            self.ray("exec", "--port-forward", str(port), cluster, "sleep 600"),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
        try:
            while not answers(address):
                assert time.monotonic() < deadline and forward.poll() is None, "MLflow does not answer"
                time.sleep(1)
            yield address
        finally:
            forward.send_signal(signal.SIGTERM)
            forward.wait(30)

    def _run(self, *words: str, check: bool = True, timeout: int = 120) -> subprocess.CompletedProcess[str]:
        named = {"FOLDER": str(self.folder), "NAME": self.name, "NET": self.net, "STORAGE": STORAGE}
        done = subprocess.run(
            ["bash", SCRIPT, *words],
            env={**os.environ, **named, "SEEN": f"{sys.prefix} {ROOT}"},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done

    def ray(self, *words: str) -> list[str]:
        """Return the command line of Ray's own program on the machine of a user, who has a home and a /tmp/ray alone.

        What the local provider notes in /tmp/ray would make other launches of this machine join the cluster.
        """
        Path("/tmp/ray").mkdir(exist_ok=True)
        alone = 'mount --make-rprivate / && mount --bind "$0" /tmp/ray && exec "$@"'
        settings = [f"HOME={self.home}", f"TMPDIR={self.folder / 'tmp'}", "RAY_UP_enable_autoscaler_v2=0"]
        python = [sys.executable, "-c", "from ray.scripts.scripts import main; main()"]
        return ["env", "-u", "RAY_ADDRESS", "RAY_USAGE_STATS_ENABLED=0", *settings, "unshare", "--mount",
                "sh", "-c", alone, str(self.folder / "ray"), *python, *words]  # fmt: skip

    def write_cluster(self, port: int) -> Path:
        """Write deploy/local.yaml with what it asks its users to change, for machines that are small and set up."""
        text = (ROOT / "deploy" / "local.yaml").read_text(encoding="utf-8").replace("/home/ubuntu", "/root")
        bash = f"export STUDY_SHARED_FROM=present STUDY_MLFLOW_PORT={port}; bash"
        text = text.replace("- bash ~/imbalance-study", f"- {bash} ~/imbalance-study")
        lock = "sha256sum < ~/imbalance-study/requirements.lock > ~/venv/installed"
        text = text.replace("setup_commands: []", f"setup_commands: ['{lock}']", 1)
        text = text.replace("ray start --", "ray start --object-store-memory=200000000 --")
        text = text.replace("--address=$RAY_HEAD_IP", "--num-cpus=1 --address=$RAY_HEAD_IP")
        config = yaml.safe_load(text)
        config["provider"] |= {
            "head_ip": self.address(HEAD),
            "worker_ips": [self.address(host) for host in WORKERS],
        }
        config["auth"] = {"ssh_user": "root", "ssh_private_key": str(self.folder / "key")}
        config["file_mounts"] = {
            "/root/imbalance-study": str(ROOT),
            "/root/.ray/auth_token": str(self.home / ".ray" / "auth_token"),
        }
        file = self.folder / "local.yaml"
        file.write_text(yaml.safe_dump(config))
        return file
