"""An MLflow server on this machine's loopback, which can be killed and started again on the same store."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Self

_STARTS_WITHIN_S = 300
# Without the processes for jobs of language models, which no run needs.
_LEAN = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def answers(uri: str) -> bool:
    """Return whether an MLflow server answers at an address."""
    try:
        urllib.request.urlopen(f"{uri}/health", timeout=1).close()
    except OSError:
        return False
    return True


class LocalServer:
    """A server with one worker, whose SQLite store and artifacts lie in a folder.

    Within a ``with`` block it runs, and it is gone after it.

    Parameters
    ----------
    folder
        An existing folder.
    """

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.folder = folder
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Kill."""
        self.kill()

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises
        ------
        RuntimeError
            It does not.
        """
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        store = ["--backend-store-uri", f"sqlite:///{self.folder}/server.db"]
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "mlflow",
                "server",
                *where,
                *store,
                "--artifacts-destination",
                "artifacts",
            ],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **_LEAN},
        )
        ends = time.monotonic() + _STARTS_WITHIN_S
        while time.monotonic() < ends and self.process.poll() is None:
            if answers(self.uri):
                return
            time.sleep(0.5)
        self.kill()
        raise RuntimeError(f"the MLflow server at {self.uri} did not start within {_STARTS_WITHIN_S} s")

    def kill(self) -> None:
        """Kill the server with its workers (SIGKILL); it can be started again."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
