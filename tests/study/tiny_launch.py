"""A launch of the ``adme`` study on the generated sample with a tiny encoder: every phase within seconds of work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def command(encoder: Path, storage: Path, *more: str) -> list[str]:
    """Return the command; ``more`` are further arguments, which win over the given ones.

    Ratios add up over a command line, so those of ``more`` take the place of the given ones.
    """
    overrides = {
        "encoder_layers": "null",
        "max_length": 32,
        "max_train_rows": 120,
        "max_validation_rows": 100,
        "reference_space": '{"stage2_learning_rate": [0.001, 0.003], "stage2_epochs": [2.0]}',
        "space": '{"strength": [0.05, 0.1], "operator": ["random_delete", "embedding_neighbours"]}',
        "fixed": '{"stage2_epochs": 1.0, "stage1_learning_rate": 0.001, "stage2_learning_rate": 0.001}',
    }
    sets = [f"--set={name}={value}" for name, value in overrides.items()]
    ratios = [] if "--imbalance-ratio" in more else ["--imbalance-ratio", "natural", "0.2"]
    return [
        sys.executable, "-m", "study.launch", "adme", "--preset", "smoke", "--encoder", str(encoder),
        "--storage", str(storage), *ratios, "--trials", "4", *sets, *more,
    ]  # fmt: skip


def environment() -> dict[str, str]:
    """Return an environment in which no cluster, MLflow server or model hub is named."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "MLFLOW_"))}
    return {**ours, "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}


def run(argv: list[str], timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        argv, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=timeout, check=False
    )
