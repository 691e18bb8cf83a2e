"""The budget of an arm at an imbalance ratio: that a tuned arm beats an untuned one says nothing about the arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from study.record.ledger import FRESH_PHASES, Ledger, TrialRecord
from trainables.method.arms import LINEAR_ARMS, PAPER_ARM, POSTHOC_ARM


@dataclass(frozen=True)
class Budget:
    """Configurations tried and replicates trained for one arm at one ratio.

    Attributes
    ----------
    trials
        Number of configurations tried; 0 where nothing was trained for the arm itself.
    replicates
        Number of replicates trained, over all these configurations.
    settings_from
        Where the arm's settings come from: ``tuning`` (its own candidates or search), ``recipe`` (a single given
        configuration), ``paper`` (as published), ``vanilla`` (the reference), ``leading_trial`` (the leading
        pre-finetuning trial) or ``cross_validation`` (the arm chooses them anew in every replicate).
    """

    trials: int
    replicates: int
    settings_from: str

    @property
    def is_tuned(self) -> bool:
        """True if the settings were chosen among several that the arm itself tried."""
        return self.settings_from in ("tuning", "cross_validation")

    def to_json(self) -> dict[str, Any]:
        """Return the two counts."""
        return {"trials": self.trials, "replicates": self.replicates}

    def in_words(self) -> str:
        """Return the budget in words for people.

        Examples
        --------
        >>> Budget(4, 9, "tuning").in_words()
        'chosen among 4 trials, 9 replicates'
        >>> Budget(1, 3, "vanilla").in_words()
        "vanilla's settings, not tuned"
        """
        if self.settings_from == "cross_validation":
            return "tuned by cross-validation inside the training rows"
        if self.is_tuned:
            # Not "tuned": beside a vanilla of a fixed recipe, as in the preset smoke, nothing is called that.
            return f"chosen among {self.trials} trials, {self.replicates} replicates"
        whose = {
            "recipe": "a fixed recipe",
            "paper": "the paper's settings",
            "vanilla": "vanilla's settings",
            "leading_trial": "the leading trial's settings",
        }
        return f"{whose[self.settings_from]}, not tuned"


# Where the settings of an arm of the confirmation were searched; those of tuned controls in their own search.
_SEARCHED_IN = {"vanilla": "reference_tuning", "prefinetune": "search"}


def budget_of(ledger: Ledger, record: TrialRecord) -> Budget:
    """Return the budget that a trial's arm had at the trial's ratio, in the trial's phase."""

    def alike(*phases: str) -> list[TrialRecord]:
        return [
            trial
            for trial in ledger.of_phase(*phases)
            if (trial.arm, trial.imbalance_ratio) == (record.arm, record.imbalance_ratio)
        ]

    if record.arm == POSTHOC_ARM:
        return Budget(0, 0, "vanilla")
    if record.arm in LINEAR_ARMS:
        return Budget(1, len(record.replicates), "cross_validation")
    if record.arm == PAPER_ARM:
        return Budget(1, len(record.replicates), "paper")
    if record.phase in FRESH_PHASES:
        searched = alike(_SEARCHED_IN.get(record.arm, "control_search"))
        if searched:
            return Budget(len(searched), sum(len(trial.replicates) for trial in searched), _chosen(searched))
        if record.arm == "vanilla":
            return Budget(1, len(record.replicates), "recipe")
    if record.phase in ("control", *FRESH_PHASES):
        source = "vanilla"
        # Compute-matched vanilla takes only the leading trial's number of steps.
        if record.matched_to is not None and record.arm != "vanilla_matched":
            leading = ledger.trials.get(record.matched_to)
            source = "paper" if leading is not None and leading.arm == PAPER_ARM else "leading_trial"
        return Budget(1, len(record.replicates), source)
    if record.phase in ("reference", "reference_tuning"):
        tuning = alike("reference_tuning")
        # The reference takes over replicates from its tuning; count them only once.
        trained = {(str(t.config), r) for t in (*tuning, *alike("reference")) for r in t.replicates}
        return Budget(max(1, len(tuning)), len(trained), _chosen(tuning))
    searched = alike(record.phase)
    return Budget(len(searched), sum(len(trial.replicates) for trial in searched), _chosen(searched))


def _chosen(candidates: Sequence[TrialRecord]) -> str:
    return "tuning" if len(candidates) > 1 else "recipe"
