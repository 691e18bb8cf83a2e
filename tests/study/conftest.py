"""A made-up study on disk, as a launch leaves it, for everything that reads one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import ray

from study.record.ledger import Ledger
from trainables.trial import ReplicateRecord

CLASSES = {"absorption": 420, "distribution": 260, "excretion": 190, "other": 1400}


def score(rng, level, classes):
    """Return metrics of one replicate around a level of macro F1."""
    recalls = np.clip(level + 0.15 * rng.standard_normal(len(classes)), 0, 1)
    return {
        "val/macro_f1": float(level),
        "val/micro_f1_minority": float(0.9 * level),
        "val/balanced_accuracy": float(recalls.mean()),
        "val/minority_auprc": float(np.clip(level + 0.04 * rng.standard_normal(), 0, 1)),
        "val/nll": float(1.2 - level),
        **{f"val/recall/{name}": float(r) for name, r in zip(classes, recalls, strict=True)},
        **{f"val/f1/{name}": float(0.9 * r) for name, r in zip(classes, recalls, strict=True)},
    }


def write_study(
    storage: Path,
    name: str = "adme",
    *,
    ratios=(0.1, "natural"),
    trials: int = 6,
    replicates: int = 4,
    effect: float = 0.05,
    noise: float = 0.01,
    classes=CLASSES,
    is_sample: bool = False,
    notice: str | None = None,
    remarks: Sequence[str] | None = None,
    parts: Mapping[str, Mapping[str, int]] | None = None,
    tracking_uri: str = "sqlite:///results/adme/mlflow.db",
    reference: bool = True,
    failed: bool = True,
) -> Ledger:
    """Write ``study.json`` and a ledger in which pre-finetuning gains ``effect`` on average."""
    folder = storage / name
    folder.mkdir(parents=True)
    facts = {
        "study": name,
        "preset": "laptop",
        "corpus": {
            "source": "made-up paragraphs",
            "digest": "0123456789abcdef",
            "rows": sum(classes.values()),
            "groups": 310,
            "classes": dict(classes),
            "is_sample": is_sample,
            **({} if notice is None else {"notice": notice}),
        },
        **({} if remarks is None else {"remarks": list(remarks)}),
        **({} if parts is None else {"parts": parts}),
        "encoder": "minilm",
        "ratios": list(ratios),
        "config": {
            "objective": "val/macro_f1",
            "space": {"operator": ["aeda", "eda"]},
            "seed": 0,
            "trials": trials,
        },
        "confirmation": {"looks": [10], "region": 0.01},
        "mlflow": {"tracking_uri": tracking_uri, "experiment": name},
        "versions": {"python": "3.11.9", "torch": "2.13.0"},
    }
    (folder / "study.json").write_text(json.dumps(facts))
    ledger = Ledger(folder / "ledger.jsonl")
    rng = np.random.default_rng(7)

    def add(trial_id, phase, arm, ratio, config, levels, seconds=12.0, state="complete", error=None):
        ledger.start_trial(trial_id, phase, arm, ratio, {"arm": arm, "imbalance_ratio": ratio, **config})
        for r, level in enumerate(levels):
            ledger.add_replicate(trial_id, ReplicateRecord(r, score(rng, level, classes), seconds))
        if state != "running":
            ledger.finish_trial(trial_id, state, error)

    for ratio in ratios:
        draws = 0.45 + 0.06 * rng.standard_normal(replicates)
        if reference:
            for rate in (3e-5, 1e-4):
                config = {"stage2_learning_rate": rate}
                add(
                    f"reference_tuning-vanilla-{ratio}-{rate}",
                    "reference_tuning",
                    "vanilla",
                    ratio,
                    config,
                    draws[:1],
                )
            add(
                f"reference-vanilla-{ratio}",
                "reference",
                "vanilla",
                ratio,
                {"stage2_learning_rate": 1e-4},
                draws,
            )
            adjusted = draws + 0.6 * effect + noise * rng.standard_normal(replicates)
            add(f"reference-logit-{ratio}", "reference", "logit_adjustment_posthoc", ratio, {}, adjusted, 0.0)
        for i in range(trials):
            n = replicates if i % 3 == 0 else max(1, replicates // 2)
            own = effect * (1 - i / max(trials, 1))
            levels = draws[:n] + own + noise * rng.standard_normal(n)
            config = {
                "operator": ("aeda", "eda")[i % 2],
                "strength": 0.1 * (1 + i % 3),
                "stage1_epochs": float(1 + i % 2),
                "stage2_learning_rate": 1e-4,
                "batch_size": 16,
            }
            state = "complete" if n == replicates else "raced_out"
            add(
                f"search-prefinetune-{ratio}-{i:04x}",
                "search",
                "prefinetune",
                ratio,
                config,
                levels,
                30.0,
                state,
            )
        if trials and reference:
            matched = draws + 0.3 * effect + noise * rng.standard_normal(replicates)
            config = {"stage2_steps": 400, "matched_to": f"search-prefinetune-{ratio}-0000"}
            add(f"control-matched-{ratio}", "control", "vanilla_matched", ratio, config, matched, 28.0)
    if trials and failed:
        config = {"operator": "eda", "strength": 0.9, "stage1_epochs": 1.0, "stage2_learning_rate": 1e-4}
        error = "TrialFailed: loss is not a number at step 12"
        add("search-prefinetune-failed", "search", "prefinetune", ratios[0], config, [], 0.0, "failed", error)
        config = {"operator": "aeda", "strength": 0.5, "stage1_epochs": 1.0, "stage2_learning_rate": 1e-4}
        add("search-prefinetune-open", "search", "prefinetune", ratios[0], config, [0.4], 30.0, "running")
    return ledger


@pytest.fixture
def make_study(tmp_path):
    """Return a function that writes a made-up study and gives its ledger."""

    def make(name: str = "adme", **options) -> Ledger:
        return write_study(tmp_path, name, **options)

    return make


@pytest.fixture(scope="session")
def empty_mlflow_store(tmp_path_factory) -> bytes:
    """An MLflow store with its schema: making it takes seconds, copying it nothing."""
    from study.tracking.uri import open_client

    path = tmp_path_factory.mktemp("schema") / "mlflow.db"
    open_client(f"sqlite:///{path}").search_experiments()
    return path.read_bytes()


@pytest.fixture
def uri(tmp_path, empty_mlflow_store) -> str:
    """Tracking URI of an MLflow store that holds nothing yet."""
    (tmp_path / "mlflow.db").write_bytes(empty_mlflow_store)
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def no_ray(monkeypatch):
    """Bad input must be found before Ray starts."""

    def refuse(*args, **kwargs):
        raise AssertionError("Ray was started")

    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
