"""One trial as it travels between driver and worker: the job that is handed out, and the record that comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trainables.settings import TrialSettings

# Of a replicate's diagnostics: 48 bits that stand for the stage-1 set as it was trained on.
SET_DIGEST = "stage1_set_digest"
OFFSETS = "_offsets"  # ends the name of a set on which classes were decided with class offsets


def with_offsets(metric: str) -> str:
    """Return the name of a metric under class offsets that were fitted on validation.

    Examples
    --------
    >>> with_offsets("val/macro_f1"), with_offsets("test/f1/other")
    ('val_offsets/macro_f1', 'test_offsets/f1/other')
    """
    scored_on, _, name = metric.partition("/")
    return f"{scored_on}{OFFSETS}/{name}"


def is_with_offsets(metric: str) -> bool:
    """Return whether a metric's name is one of :func:`with_offsets`."""
    return metric.partition("/")[0].endswith(OFFSETS)


@dataclass(frozen=True, kw_only=True)
class TrialJob:
    """One unit of work: some replicates of one trial.

    Attributes
    ----------
    trial_id, phase
        The trial in the study's ledger.
    settings
        Its configuration.
    replicates
        Replicate indices in the order in which they are run.
    objective
        Metric whose gain is reported, e.g. ``val/macro_f1``.
    reference
        The reference vanilla's objective per replicate, where the job is raced on its gain; empty where there is no
        reference.
    known
        The objective of replicates that an earlier launch finished; they are not run again.
    threads
        Processor threads of one worker.
    test_sets
        Test sets that it is scored on beside validation.
    keeps_scores
        Whether the scores of every row are kept.
    """

    trial_id: str
    phase: str
    settings: TrialSettings
    replicates: tuple[int, ...]
    objective: str
    reference: Mapping[int, float] = field(default_factory=dict)
    known: Mapping[int, float] = field(default_factory=dict)
    threads: int = 1
    test_sets: tuple[str, ...] = ()
    keeps_scores: bool = False


@dataclass
class ReplicateRecord:
    """One arm on one replicate.

    Attributes
    ----------
    replicate
        Its index.
    metrics
        Flat metrics (``val/macro_f1``, …), and those that class offsets change (``val_offsets/macro_f1``, …).
    seconds
        Wall-clock of everything that the replicate did.
    diagnostics
        Steps, padding, cache hits and the like.
    posthoc
        The metrics after post-hoc logit adjustment of the same logits (Menon et al. 2021, eq. 9), which costs no
        training.
    gpu
        What the driver calls the GPU that trained its network; empty where a processor did.
    """

    replicate: int
    metrics: dict[str, float]
    seconds: float
    diagnostics: dict[str, float] = field(default_factory=dict)
    posthoc: dict[str, float] = field(default_factory=dict)
    gpu: str = ""

    def of_posthoc(self) -> ReplicateRecord:
        """Return the record of post-hoc logit adjustment on this replicate.

        With class offsets it scores what the arm itself scores: fitted offsets absorb any that were added before.
        """
        offsets = {name: value for name, value in self.metrics.items() if is_with_offsets(name)}
        return ReplicateRecord(self.replicate, {**self.posthoc, **offsets}, 0.0)
