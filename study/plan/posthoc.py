"""Post-hoc logit adjustment: an arm of its own that is scored from vanilla's logits, so it trains nothing."""

from __future__ import annotations

from collections.abc import Callable

from study.record.ledger import Ledger, TrialRecord
from trainables.method.arms import POSTHOC_ARM
from trainables.settings import digest_of
from trainables.trial import ReplicateRecord


class PosthocTrials:
    """Keeps, beside every vanilla that others are compared with, the trial of its adjusted logits.

    Parameters
    ----------
    ledger
        The study's ledger.
    notify
        Called with a trial's record after each of its changes.
    """

    def __init__(self, ledger: Ledger, notify: Callable[[TrialRecord], None]) -> None:
        self._ledger = ledger
        self._notify = notify

    @staticmethod
    def belong_to(trial: TrialRecord) -> bool:
        """Return whether a trial has such a trial beside it."""
        return trial.arm == "vanilla" and trial.phase in ("reference", "confirmation")

    def add(self, vanilla: TrialRecord, record: ReplicateRecord) -> None:
        """Score a replicate of vanilla, unless it is scored already."""
        trial = self._beside(vanilla)
        if record.replicate not in trial.replicates:
            self._ledger.add_replicate(trial.trial_id, record.of_posthoc())
            self._notify(trial)

    def finish(self, vanilla: TrialRecord) -> None:
        """End the trial beside a vanilla that has all its replicates."""
        trial = self._beside(vanilla)
        if trial.state == "running":
            self._ledger.finish_trial(trial.trial_id, "complete")
            self._notify(trial)

    def _beside(self, vanilla: TrialRecord) -> TrialRecord:
        """Return the trial beside a vanilla; start it, or start it again where vanilla gets further replicates."""
        config = {**vanilla.config, "arm": POSTHOC_ARM}
        trial_id = f"{vanilla.phase}-{digest_of(config, 10)}"
        known = self._ledger.trials.get(trial_id)
        if known is None:
            self._ledger.start_trial(trial_id, vanilla.phase, POSTHOC_ARM, vanilla.imbalance_ratio, config)
        elif known.state != "running" and known.replicates.keys() < vanilla.replicates.keys():
            self._ledger.restart_trial(known)
        return self._ledger.trials[trial_id]
