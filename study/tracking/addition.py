"""What a run gets beside what the ledger says of its trial: the audit of its augmentation, or its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from study.tracking.projection import LONGEST_TAG, cut, text_digest
from study.verdict.confirmed import ConfirmedArm

NOTE = "mlflow.note.content"
# By which a description of ours is told from a user's.
_NOTE_DIGEST = "note_digest"


@dataclass(frozen=True)
class Addition:
    """Metrics, tags, a description, and a folder as an artifact of this name.

    Attributes
    ----------
    metrics, tags
        By name.
    folder, artifact
        The folder and the artifact's name; None for none.
    note
        The run's description, in words; one that a user wrote stays. Empty for none.
    """

    metrics: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    artifact: str = ""
    note: str = ""


def verdict_of(arm: ConfirmedArm, sentence: str) -> Addition:
    """Return what the run of a confirmed arm says of its verdict: the deciding gain, not that of replicates alone.

    Parameters
    ----------
    arm
        The arm.
    sentence
        What was found of it, in words; the run's description.
    """
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
    tags = {"role": arm.role, **({"verdict": judged.verdict} if judged else {})}
    return Addition(metrics, tags, note=sentence)


def described(note: str, notice: str, tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that give a run its description; nothing where a user wrote one, which stays.

    Parameters
    ----------
    note
        The description; empty for none.
    notice
        What every run of the study is described with; it stands first.
    tags
        The run's tags.
    """
    there = tags.get(NOTE, notice)
    if not note or (there != notice and tags.get(_NOTE_DIGEST) != text_digest(there)):
        return {}
    text = cut("\n\n".join(filter(None, (f"**{notice}**" if notice else "", note))), LONGEST_TAG)
    return {NOTE: text, _NOTE_DIGEST: text_digest(text)}
