"""Which trials a study owes apart from those of its searches, from its configuration and its ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from study.config.arms import CONTROLS, MATCHED, defining_settings
from study.config.study import StudyConfig
from study.plan.tracks import first_values, over_reference, tracks_of, trial_settings, wanted_trials
from study.record.gains import leading_prefinetuning, leading_trial
from study.record.ledger import SEARCH_PHASES, Ledger, TrialRecord, stored_config
from trainables.method.arms import LINEAR_ARMS, PAPER_ARM
from trainables.settings import TrialSettings, digest_of


@dataclass(frozen=True)
class Planned:
    """A trial that a phase owes.

    Attributes
    ----------
    phase, settings
        Of the trial.
    replicates
        Number of replicates that it needs.
    matched_to
        The trial that it is matched to.
    first
        Index of its first replicate.
    """

    phase: str
    settings: TrialSettings
    replicates: int
    matched_to: str | None = None
    first: int = 0

    @property
    def trial_id(self) -> str:
        """Identity that is the same after a restart."""
        return f"{self.phase}-{digest_of(stored_config(self.settings.to_config(), self.matched_to), 10)}"

    @property
    def indices(self) -> range:
        """The replicates that it needs."""
        return range(self.first, self.first + self.replicates)

    def missing(self, trial: TrialRecord) -> list[int]:
        """Return the replicates that its record lacks."""
        return [replicate for replicate in self.indices if replicate not in trial.replicates]

    @property
    def twin(self) -> Planned | None:
        """What would be the same training under another name: of vanilla, its search's; of the recipe, the search's."""
        arms = {PAPER_ARM: "prefinetune", "vanilla_tuned": "vanilla"}
        phases = {"reference": "reference_tuning", "control": "search", "control_search": "reference"}
        arm = self.settings.arm
        if self.phase != "reference" and arm not in arms:
            return None
        return Planned(phases.get(self.phase, self.phase), replace(self.settings, arm=arms.get(arm, arm)), 0)


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
        self._tuned = [track for track in tracks_of(config) if track.phase == "reference_tuning"]
        untuned = [arm for arm in CONTROLS if arm in config.arms and arm not in config.tuned_arms()]
        self._at_reference = [arm for arm in untuned if arm not in MATCHED]
        self._matched = ["vanilla_matched", *(arm for arm in untuned if arm in MATCHED)]
        # A study that confirms runs its controls there, on fresh replicates, and nowhere else.
        self._compares_on_validation = not config.confirmation_replicates

    def of_phase(self, phase: str) -> Iterator[Planned]:
        """Return what is owed in one phase apart from what its search proposes."""
        if phase == "control":
            yield from self.controls()
            yield from self.matched()
        else:
            yield from {"reference_tuning": self.anchors, "reference": self.reference}[phase]()

    def anchors(self) -> Iterator[Planned]:
        """Return the first trial of vanilla's search at every ratio; none where vanilla's settings are given.

        All its replicates run, so that the others of its search can be told and raced by their gains over it.
        """
        for track in self._tuned:
            # A later launch may name another recipe; what the others were compared with stays.
            if (known := self._ledger.anchor(track.imbalance_ratio)) is not None:
                first = TrialSettings.from_config(known.config)
            else:
                first = trial_settings(self._config, track, {}, first_values(self._config, track, {}))
            yield Planned("reference_tuning", first, self._config.replicates)

    def reference(self) -> Iterator[Planned]:
        """Return the reference vanilla of every ratio whose settings are known."""
        for ratio in self._config.imbalance_ratios:
            settings = self._chosen_reference(ratio)
            if settings is not None:
                yield Planned("reference", settings, self._config.replicates)

    def controls(self) -> Iterator[Planned]:
        """Return the linear classifiers, and the controls at the settings of the reference vanilla."""
        for ratio in self._config.imbalance_ratios if self._compares_on_validation else ():
            reference = self._ledger.reference(ratio)
            if reference is None:
                continue
            vanilla = TrialSettings.from_config(reference.config)
            for settings in (*self.at_vanilla(vanilla), self.paper(ratio)):
                yield Planned("control", settings, self._config.replicates)

    def at_vanilla(self, vanilla: TrialSettings) -> Iterator[TrialSettings]:
        """Return the linear classifiers, and the controls that take vanilla's settings."""
        for arm in LINEAR_ARMS:
            # They read nothing else, so that their names depend on nothing else.
            yield TrialSettings(arm=arm, imbalance_ratio=vanilla.imbalance_ratio)
        for arm in self._at_reference:
            yield TrialSettings.from_config(over_reference(arm, vanilla.to_config()))

    def paper(self, ratio: float | str) -> TrialSettings:
        """Return the paper's recipe; what it leaves open is as the reference vanilla has it."""
        reference = self._ledger.reference(ratio)
        assert reference is not None
        return TrialSettings.from_config(
            {**over_reference(PAPER_ARM, reference.config), **self._config.paper}
        )

    def matched(self) -> Iterator[Planned]:
        """Return the controls that are matched to the leading trial of every ratio, or to the paper's recipe."""
        for ratio in self._config.imbalance_ratios if self._compares_on_validation else ():
            best = leading_prefinetuning(self._ledger, ratio, self._config.objective)
            reference = self._ledger.reference(ratio)
            if best is None or reference is None:
                continue
            if best.arm == PAPER_ARM and best.state == "running":
                continue  # with all of its replicates it is what the others are matched to
            for settings in self.matched_to(best, TrialSettings.from_config(reference.config)):
                yield Planned("control", settings, len(best.replicates), matched_to=best.trial_id)

    def matched_to(self, best: TrialRecord, vanilla: TrialSettings) -> Iterator[TrialSettings]:
        """Return the controls that are matched to a trial of pre-finetuning that has a replicate."""
        for arm in self._matched:
            yield TrialSettings.from_config(_matched_config(arm, best, vanilla.to_config()))

    def is_settled(self, planned: Planned) -> bool:
        """Return whether a trial has ended."""
        trial = self._ledger.trials.get(planned.trial_id)
        return trial is not None and trial.state != "running"

    def _chosen_reference(self, ratio: float | str) -> TrialSettings | None:
        """Return the reference vanilla's settings: the only recipe, or those of the leading trial of its search."""
        known = self._ledger.reference(ratio)
        if known is not None:
            # Gains were taken against it: a longer search of a later launch does not replace it.
            return TrialSettings.from_config(known.config)
        tracks = {track.imbalance_ratio: track for track in self._tuned}
        if ratio not in tracks:
            only = {name: values[0] for name, values in self._config.reference_space.items()}
            recipe = {**self._config.fixed, **only, "arm": "vanilla", "imbalance_ratio": ratio}
            return TrialSettings.from_config(recipe)
        rivals = [t for t in self._ledger.of_phase("reference_tuning") if t.imbalance_ratio == ratio]
        wanted = wanted_trials(tracks[ratio], self._ledger.trial_limit)
        if len(rivals) < wanted or any(trial.state == "running" for trial in rivals):
            return None
        leading = leading_trial(self._ledger, rivals, self._config.objective)
        return None if leading is None else TrialSettings.from_config(leading.config)


def _matched_config(arm: str, best: TrialRecord, vanilla: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of an arm that measures what one part of the leading trial contributes.

    ``prefinetune_duplicated`` is the leading trial with duplicates in place of augmentations, whatever its recipe: it
    has as many rows of each class, and so as many steps. ``augment_single_stage`` has the leading trial's rows, and by
    its own rule as many steps as that trial's two stages; ``vanilla_matched`` is vanilla with as many.
    """
    if arm != "vanilla_matched":
        return {**best.config, **defining_settings(arm, best.config), "arm": arm}
    diagnostics = next(iter(best.replicates.values())).diagnostics
    steps = round(diagnostics["stage1_steps"] + diagnostics["stage2_steps"])
    return {**vanilla, "arm": arm, "stage2_steps": steps}


def reopen_searched(config: StudyConfig, ledger: Ledger) -> None:
    """Restart the failed search trials of an earlier launch, where the cause of the failure can pass.

    So are those of which the ledger has lost a replicate: it is trained again, and the others are kept. A diverged
    trial is an answer, and stays, but not the first one of vanilla's search, without which there are no others. Once
    the reference is known, its search is left alone: it can no longer change anything. This has to happen before the
    search is replayed.
    """
    tracks = {track.key for track in tracks_of(config)}
    for trial in ledger.of_phase(*SEARCH_PHASES):
        is_late = trial.phase == "reference_tuning" and ledger.reference(trial.imbalance_ratio) is not None
        fails = trial.state == "failed" and (trial.can_pass or trial is ledger.anchor(trial.imbalance_ratio))
        is_wanted = (trial.arm, trial.imbalance_ratio) in tracks and not is_late
        if is_wanted and (fails or _lacks_a_replicate(trial, config)):
            ledger.restart_trial(trial)


def _lacks_a_replicate(trial: TrialRecord, config: StudyConfig) -> bool:
    """Return whether the ledger has lost a replicate of an ended search trial: it then has fewer than it ended with."""
    if trial.state == "complete":
        return len(trial.replicates) < config.replicates
    return trial.state == "raced_out" and max(trial.replicates, default=0) >= len(trial.replicates)


def reopen_owed(owed: Iterable[Planned], ledger: Ledger) -> None:
    """Restart those trials of an earlier launch that no search proposes and that failed or lack a replicate."""
    for planned in owed:
        trial = ledger.trials.get(planned.trial_id)
        if trial is not None and (
            trial.state == "failed" or (trial.state == "complete" and planned.missing(trial))
        ):
            ledger.restart_trial(trial)
