"""Which trials a study owes apart from those of its searches, from its configuration and its ledger."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from study.config.arms import CONTROLS, MATCHED, defining_settings
from study.config.study import StudyConfig
from study.plan.tracks import over_reference, tracks_of
from study.record.gains import leading_prefinetuning, mean_of
from study.record.ledger import SEARCH_PHASES, Ledger, TrialRecord, stored_config
from trainables.method.arms import LINEAR_ARMS, PAPER_ARM
from trainables.settings import TrialSettings, digest_of


@dataclass(frozen=True)
class Planned:
    """A trial that a phase owes: its settings, the replicates that it needs, and the trial that it is matched to."""

    phase: str
    settings: TrialSettings
    replicates: int
    matched_to: str | None = None

    @property
    def trial_id(self) -> str:
        """Identity that is the same after a restart."""
        return f"{self.phase}-{digest_of(stored_config(self.settings.to_config(), self.matched_to), 10)}"


class Owed:
    """The trials that a study owes, given its configuration and what its ledger already holds.

    The budgets differ by design, and :mod:`study.verdict.budget` counts them: the reference vanilla is tuned; controls
    that take its settings, or are matched to the leading pre-finetuning trial, are not.

    Parameters
    ----------
    config
        The study.
    ledger
        Its ledger.
    """

    def __init__(self, config: StudyConfig, ledger: Ledger) -> None:
        self._config = config
        self._ledger = ledger
        untuned = [arm for arm in CONTROLS if arm in config.arms and arm not in config.tuned_arms()]
        self._at_reference = [PAPER_ARM, *(arm for arm in untuned if arm not in MATCHED)]
        self._matched = ["vanilla_matched", *(arm for arm in untuned if arm in MATCHED)]

    def of_phase(self, phase: str) -> Iterator[Planned]:
        """Return what is owed in one phase; the phase must not be a search."""
        if phase == "control":
            yield from self.controls()
            yield from self.matched()
        else:
            yield from {"reference_tuning": self.tuning, "reference": self.reference}[phase]()

    def tuning(self) -> Iterator[Planned]:
        """Return the candidates for the reference's settings; none where there is only one recipe."""
        grid = list(self._reference_grid())
        if len(grid) == 1:
            return
        for ratio, values in itertools.product(self._config.imbalance_ratios, grid):
            yield Planned(
                "reference_tuning", self._vanilla(ratio, values), self._config.reference_tuning_replicates
            )

    def tuning_at(self, ratio: float | str) -> list[Planned]:
        """Return the candidates of one ratio."""
        return [planned for planned in self.tuning() if planned.settings.imbalance_ratio == ratio]

    def reference(self) -> Iterator[Planned]:
        """Return the reference vanilla of every ratio whose settings are known."""
        for ratio in self._config.imbalance_ratios:
            settings = self._chosen_reference(ratio)
            if settings is not None:
                yield Planned("reference", settings, self._config.replicates)

    def controls(self) -> Iterator[Planned]:
        """Return the linear classifiers, and the controls at the settings of the reference vanilla."""
        for ratio in self._config.imbalance_ratios:
            reference = self._ledger.reference(ratio)
            if reference is None:
                continue
            for arm in LINEAR_ARMS:
                # They read nothing else, so that their names depend on nothing else.
                settings = TrialSettings(arm=arm, imbalance_ratio=ratio)
                yield Planned("control", settings, self._config.replicates)
            for arm in self._at_reference:
                own = self._config.paper if arm == PAPER_ARM else {}
                settings = TrialSettings.from_config({**over_reference(arm, reference.config), **own})
                yield Planned("control", settings, self._config.replicates)

    def matched(self) -> Iterator[Planned]:
        """Return the controls that are matched to the leading trial of every ratio, or to the paper's recipe."""
        for ratio in self._config.imbalance_ratios:
            best = leading_prefinetuning(self._ledger, ratio, self._config.objective)
            reference = self._ledger.reference(ratio)
            if best is None or reference is None:
                continue
            if best.arm == PAPER_ARM and best.state == "running":
                continue  # with all of its replicates it is what the others are matched to
            for arm in self._matched:
                settings = TrialSettings.from_config(_matched_config(arm, best, reference))
                yield Planned("control", settings, len(best.replicates), matched_to=best.trial_id)

    def is_settled(self, planned: Planned) -> bool:
        """Return whether a trial has ended."""
        trial = self._ledger.trials.get(planned.trial_id)
        return trial is not None and trial.state != "running"

    def _reference_grid(self) -> Iterator[dict[str, Any]]:
        names = list(self._config.reference_space)
        for values in itertools.product(*self._config.reference_space.values()):
            yield dict(zip(names, values, strict=True))

    def _vanilla(self, ratio: float | str, values: Mapping[str, Any]) -> TrialSettings:
        return TrialSettings.from_config(
            {**self._config.fixed, **values, "arm": "vanilla", "imbalance_ratio": ratio}
        )

    def _chosen_reference(self, ratio: float | str) -> TrialSettings | None:
        """Return the reference vanilla's settings: the only recipe, or the best of the finished tuning."""
        candidates = self.tuning_at(ratio)
        if not candidates:
            return self._vanilla(ratio, next(self._reference_grid()))
        if not all(map(self.is_settled, candidates)):
            return None
        finished = [
            (mean_of(self._ledger.trials[p.trial_id].values(self._config.objective)), -place, p.settings)
            for place, p in enumerate(candidates)
            if self._ledger.trials[p.trial_id].state == "complete"
        ]
        return max(finished, key=lambda item: item[:2])[2] if finished else None


def _matched_config(arm: str, best: TrialRecord, reference: TrialRecord) -> dict[str, Any]:
    """Return the configuration of an arm that measures what one part of the leading trial contributes.

    ``prefinetune_duplicated`` is the leading trial with duplicates in place of augmentations, whatever its recipe: it
    has as many rows of each class, and so as many steps. ``augment_single_stage`` has the leading trial's rows, and by
    its own rule as many steps as that trial's two stages; ``vanilla_matched`` is the reference vanilla with as many.
    """
    if arm != "vanilla_matched":
        return {**best.config, **defining_settings(arm, best.config), "arm": arm}
    diagnostics = next(iter(best.replicates.values())).diagnostics
    steps = round(diagnostics["stage1_steps"] + diagnostics["stage2_steps"])
    return {**reference.config, "arm": arm, "stage2_steps": steps}


def reopen_searched(config: StudyConfig, ledger: Ledger) -> None:
    """Restart the failed search trials of an earlier launch, where the cause of the failure can pass.

    A diverged trial is an answer, and stays. This has to happen before the search is replayed.
    """
    tracks = {track.key for track in tracks_of(config)}
    for trial in ledger.of_phase(*SEARCH_PHASES):
        if trial.state == "failed" and trial.can_pass and (trial.arm, trial.imbalance_ratio) in tracks:
            ledger.restart_trial(trial)


def reopen_owed(owed: Owed, ledger: Ledger) -> None:
    """Restart the failed trials on which others depend: the reference, its tuning, and the controls.

    Once the reference is known, a failed candidate of its tuning is left alone: it can no longer change anything.
    """
    for phase in ("reference_tuning", "reference", "control"):
        for planned in owed.of_phase(phase):
            trial = ledger.trials.get(planned.trial_id)
            is_late = phase == "reference_tuning" and (
                ledger.reference(planned.settings.imbalance_ratio) is not None
            )
            if trial is not None and trial.state == "failed" and not is_late:
                ledger.restart_trial(trial)
