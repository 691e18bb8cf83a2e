"""Read the audits in a study's folder, so that the report and MLflow need neither the corpus nor torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from study.audits.view import MEANINGS


def audit_folder(study: Path, trial_id: str) -> Path:
    """Return the folder, inside a study's folder, of the audit of a trial's augmentation."""
    return study / "audits" / trial_id


def load_audit(study: Path, trial_id: str) -> dict[str, Any] | None:
    """Return a trial's stored audit with its examples, or None if it is missing or cannot be read."""
    try:
        stored = json.loads((audit_folder(study, trial_id) / "audit.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stored if isinstance(stored, dict) and set(MEANINGS) <= stored.get("audit", {}).keys() else None


def audit_metrics(stored: dict[str, Any]) -> dict[str, float]:
    """Return an audit as flat metrics, ``audit/…`` with its bounds ``…_ci_low`` and ``…_ci_high``.

    Examples
    --------
    >>> measure = {"mean": 0.9, "low": 0.8, "high": None, "n": 1}
    >>> metrics = audit_metrics({"audit": {**dict.fromkeys(MEANINGS, measure), "strength": 0.1}})
    >>> metrics["audit/distinct"], metrics["audit/distinct_ci_low"], "audit/distinct_ci_high" in metrics
    (0.9, 0.8, False)
    """
    return {
        f"audit/{name}{suffix}": float(value)
        for name in MEANINGS
        for suffix, bound in (("", "mean"), ("_ci_low", "low"), ("_ci_high", "high"))
        if (value := stored["audit"][name][bound]) is not None
    }
