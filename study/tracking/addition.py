"""What a run gets beside what the ledger says of its trial: the audit of its augmentation, or its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from study.verdict.confirmed import ConfirmedArm


@dataclass(frozen=True)
class Addition:
    """Metrics, tags, and a folder as an artifact of this name.

    Attributes
    ----------
    metrics, tags
        By name.
    folder, artifact
        The folder and the artifact's name; None for none.
    """

    metrics: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    artifact: str = ""


def verdict_of(arm: ConfirmedArm) -> Addition:
    """Return what the run of a confirmed arm says of its verdict: the deciding gain, not that of replicates alone."""
    judged = arm.judgement
    values = {
        "gain": arm.gain.mean if arm.gain.is_defined else None,
        "ci_low": arm.gain.ci_low,
        "ci_high": arm.gain.ci_high,
        "p_value_holm": judged.p_adjusted if judged else None,
        "chance_better": judged.probability.better if judged and judged.probability else None,
        "winner_minus_this": arm.lead.mean if arm.lead and arm.lead.is_defined else None,
    }
    metrics = {f"verdict/{name}": float(value) for name, value in values.items() if value is not None}
    return Addition(metrics, {"role": arm.role, **({"verdict": judged.verdict} if judged else {})})
