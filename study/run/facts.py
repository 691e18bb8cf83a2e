"""The contents of ``study.json``: a study's configuration, its corpus, and the code and machine that run it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from study.config.study import StudyConfig
from study.record.folder import StudyFolder, study_id
from study.run.cluster import Connection
from study.run.numerics import numerics_of
from study.run.place import cpus_here
from study.terminal.program import as_given
from trainables.corpora.corpus import Corpus
from trainables.resplit import ResplitCorpus, SharedCorpus
from trainables.settings import EncoderSettings

# Rows per class of each part of the split, as trials use them; of replicate 0 where replicates vary the split.
PARTS = "parts"
# Where they do, the fewest and the most rows over them; otherwise nothing.
PART_RANGES = "part_ranges"
# What decides which rows leak, ``tokens`` or ``texts``; studies that do not say so began with whole texts.
JUDGED_ON = "duplicates_judged_on"
_PACKAGE = Path(__file__).resolve().parents[1]
_VERSIONED = ("ray", "torch", "transformers", "optuna", "mlflow", "nlpaug", "pandas", "numpy")


def facts_of(
    config: StudyConfig,
    corpus: Corpus,
    folder: StudyFolder,
    connection: Connection | None,
    encoder: EncoderSettings,
    tracking_uri: str,
    remarks: Sequence[str],
) -> dict[str, Any]:
    """Return the contents of ``study.json``.

    Parameters
    ----------
    config, corpus, folder, connection, tracking_uri
        The study, its texts, where it lies, the cluster that was joined or None, and MLflow's store.
    encoder
        As all trials compute with it, see :func:`study.run.numerics.one_precision`.
    remarks
        Sentences on the texts that stand beside the result.
    """
    return {
        "study": config.name,
        "study_id": study_id(folder),
        "preset": config.preset,
        "corpus": {
            "name": config.corpus,
            "source": corpus.source,
            "digest": corpus.digest,
            "rows": len(corpus),
            "groups": len(set(corpus.groups)),
            "classes": corpus.class_counts(),
            "left_out": dict(corpus.left_out),
            "is_sample": corpus.is_sample,
            "notice": corpus.notice,
        },
        "remarks": list(remarks),
        "encoder": config.encoder,
        "numerics": numerics_of(config, connection, encoder),
        "ratios": list(config.imbalance_ratios),
        "config": config.identity(),
        "settings": config.every_value(),
        "mlflow": {"tracking_uri": tracking_uri, "experiment": config.name},
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _VERSIONED},
        },
        "git_commit": git_commit(),
        "machine": machine(),
        "command": as_given(),
    }


def part_facts(prepared: SharedCorpus) -> dict[str, Any]:
    """Return what ``study.json`` holds of the parts of the split."""
    ranges = prepared.class_count_ranges() if isinstance(prepared, ResplitCorpus) else {}
    return {
        PARTS: prepared.of_replicate(0).class_counts(),
        PART_RANGES: ranges,
        JUDGED_ON: prepared.judged_on,
    }


def machine() -> dict[str, Any]:
    """Return what computes here: the driver's processor, its instructions as torch uses them, and its cores."""
    import torch

    names: list[str] = []
    with contextlib.suppress(OSError):  # other systems than Linux
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": next(iter(names), "") or platform.processor() or platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": cpus_here(),
    }


def git_commit() -> str | None:
    """Return the commit of this code; None outside a checkout, as where the package is installed in another project."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--show-toplevel", "HEAD"],
            cwd=_PACKAGE,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:  # git is not installed
        return None
    if found.returncode != 0:
        return None
    checkout, commit = found.stdout.splitlines()
    return commit if Path(checkout).resolve() == _PACKAGE.parent else None
