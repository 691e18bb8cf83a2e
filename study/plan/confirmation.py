"""What is confirmed: leading configurations again on fresh replicates, then the best of every arm on further ones.

A search flatters what leads it. So the leading configurations of every searched arm, vanilla's as well, are scored
again on fresh replicates, still on validation (the screening), and what is best there is confirmed: on further
replicates, on the test split, beside the paper's recipe and the controls. It is chosen once: a search that goes on
after the confirmation began changes nothing, because the test split has been read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from study.config.study import StudyConfig
from study.plan.owed import Owed, Planned
from study.plan.same_sets import SameSets
from study.plan.tracks import Track, tracks_of
from study.record.gains import lower_is_better, mean_of, ranked_trials
from study.record.ledger import Ledger, TrialRecord
from study.statistics.looks import Looks
from trainables.method.arms import PAPER_ARM
from trainables.settings import TrialSettings

Ratio = float | str
# Given numbers of replicates at every ratio, returns the ratios at which every verdict is decided.
Decided = Callable[[Mapping[Ratio, int]], frozenset[Ratio]]
# Replicates that are added at a time until a comparison is decided.
BLOCK = 5


def first_confirmed(config: StudyConfig) -> int:
    """Return the index of the first replicate that is scored on the test split: after the search's and screening's."""
    return config.replicates + config.screening_replicates


def fresh_replicates(config: StudyConfig, ledger: Ledger | None) -> int:
    """Return how many replicates beside the search's may be run; the ledger is that of an earlier launch."""
    if not config.confirmation_replicates:
        return 0
    return config.screening_replicates + planned_looks(config, ledger)[-1]


def planned_looks(config: StudyConfig, ledger: Ledger | None) -> tuple[int, ...]:
    """Return the numbers of confirmed replicates at which verdicts are given, those of earlier launches included."""
    first, most = config.confirmation_replicates, config.until_decided
    planned = Looks.in_blocks(first, BLOCK, most).replicates if most and first > 1 else (first,)
    return tuple(sorted({*planned, *(ledger.looks if ledger else ())}))


@dataclass(frozen=True)
class Choice:
    """What a screening chose at one imbalance ratio: vanilla, the winner of pre-finetuning, and each tuned control."""

    vanilla: TrialSettings
    winner: TrialSettings
    controls: tuple[TrialSettings, ...]


class Confirmation:
    """The trials that a confirmation owes.

    Parameters
    ----------
    config
        The study.
    ledger
        Its ledger.
    owed
        What it owes apart from this.
    searched
        Returns whether all searches are over.
    decided
        See :data:`Decided`.
    """

    def __init__(
        self,
        config: StudyConfig,
        ledger: Ledger,
        owed: Owed,
        searched: Callable[[], bool],
        decided: Decided,
    ) -> None:
        self._config = config
        self._searched = searched
        self._ledger = ledger
        self._owed = owed
        self._decided = decided
        self._tracks = [track for track in tracks_of(config) if track.trials]

    def screening(self) -> Iterator[Planned]:
        """Return the candidates of every ratio and searched arm; an only candidate is chosen without."""
        if not self._config.confirmation_replicates or not self._config.screening_replicates:
            return
        for ratio in self._config.imbalance_ratios:
            for candidates in self._candidates(ratio).values():
                if len(candidates) > 1:
                    yield from map(self._screened, candidates)

    def confirmed(self) -> Iterator[Planned]:
        """Return what is scored on the test split now, at every ratio whose choice is made."""
        if self._config.confirmation_replicates:
            yield from self._confirmed(self._choices(), self.targets())

    def _choices(self) -> dict[Ratio, Choice]:
        """Return what is confirmed, at the ratios where that is known."""
        chosen = {ratio: self._choice(ratio) for ratio in self._config.imbalance_ratios}
        return {ratio: choice for ratio, choice in chosen.items() if choice is not None}

    def _confirmed(self, choices: Mapping[Ratio, Choice], targets: Mapping[Ratio, int]) -> Iterator[Planned]:
        """Return the trials of a confirmation with so many replicates at each ratio."""
        first = first_confirmed(self._config)
        for ratio, choice in choices.items():
            finalists = dict.fromkeys((choice.winner, self._owed.paper(ratio)))
            alone = (choice.vanilla, *finalists, *self._owed.at_vanilla(choice.vanilla), *choice.controls)
            for settings in alone:
                yield Planned("confirmation", settings, targets[ratio], first=first)
            winner = self._ledger.trials.get(Planned("confirmation", choice.winner, 0).trial_id)
            if winner is not None and winner.replicates:
                for settings in self._owed.matched_to(winner, choice.vanilla):
                    yield Planned("confirmation", settings, targets[ratio], winner.trial_id, first)

    def targets(self) -> dict[Ratio, int]:
        """Return how many replicates are owed at each ratio: up to the first planned look that has not decided it.

        All ratios are looked at together, because their verdicts are corrected together; a ratio whose verdicts are
        decided gets no more.
        """
        ratios, looks = self._config.imbalance_ratios, planned_looks(self._config, self._ledger)
        now = dict.fromkeys(ratios, looks[0])
        if not all(map(self._is_screened, ratios)):
            return now
        choices, stopped = self._choices(), dict[Ratio, int]()
        for n in looks:
            now = {ratio: stopped.get(ratio, n) for ratio in ratios}
            # Those that were looked at may have begun on their further replicates.
            there = self._has_all if n in self._ledger.looks else self.is_settled
            if not all(map(there, self._confirmed(choices, now))):
                break
            if n not in self._ledger.looks:
                self._ledger.append("look", replicates=n)
            stopped |= {ratio: n for ratio in self._decided(now) if ratio not in stopped}
        return now

    def is_settled(self, planned: Planned) -> bool:
        """Return whether a trial has failed, or has ended with all its replicates."""
        trial = self._ledger.trials.get(planned.trial_id)
        return trial is not None and trial.state != "running" and self._has_all(planned)

    def _has_all(self, planned: Planned) -> bool:
        """Return whether a trial has failed, or has all its replicates."""
        trial = self._ledger.trials.get(planned.trial_id)
        return trial is not None and (trial.state == "failed" or not planned.missing(trial))

    @property
    def is_complete(self) -> bool:
        """Whether nothing more is owed."""
        return all(map(self.is_settled, (*self.screening(), *self.confirmed())))

    def _screened(self, settings: TrialSettings) -> Planned:
        return Planned(
            "screening", settings, self._config.screening_replicates, first=self._config.replicates
        )

    def _is_screened(self, ratio: Ratio) -> bool:
        """Return whether what is confirmed at a ratio can be told."""
        if self._ledger.reference(ratio) is None or not self._searched():
            return False
        return all(
            self.is_settled(self._screened(settings))
            for candidates in self._candidates(ratio).values()
            for settings in (candidates if len(candidates) > 1 and self._config.screening_replicates else ())
        )

    def _candidates(self, ratio: Ratio) -> dict[str, list[TrialSettings]]:
        """Return what may be confirmed at a ratio, by arm: what leads a search, and what it began with.

        Where the confirmation has begun, each arm's is what is confirmed.
        """
        reference = self._ledger.reference(ratio)
        if reference is None:
            return {}
        begun = [t for t in self._ledger.of_phase("confirmation") if t.imbalance_ratio == ratio]
        tracks = {track.arm: track for track in self._tracks if track.imbalance_ratio == ratio}
        found: dict[str, list[TrialSettings]] = {}
        for arm in dict.fromkeys(("vanilla", "prefinetune", *tracks)):
            of_arm = (arm, PAPER_ARM) if arm == "prefinetune" else (arm,)
            if known := [trial for trial in begun if trial.arm in of_arm][:1]:
                found[arm] = _settings(known)
                continue
            found[arm] = _settings(self._leading(tracks[arm])) if arm in tracks else []
            if arm == "vanilla" and arm not in tracks:
                found[arm] = _settings([reference])
            if arm == "prefinetune" and not (found[arm] and self._trains_too_long(self._owed.paper(ratio))):
                found[arm].append(self._owed.paper(ratio))
        return found

    def _trains_too_long(self, settings: TrialSettings) -> bool:
        """Return whether a recipe that the search tried is infeasible; where nothing else is left, it is taken."""
        twin = Planned("screening", settings, 0).twin
        assert twin is not None
        tried = self._ledger.trials.get(replace(twin, phase="search").trial_id)
        return tried is not None and tried.state == "infeasible"

    def _leading(self, track: Track) -> list[TrialRecord]:
        trials = [t for t in self._ledger.of_phase(track.phase) if (t.arm, t.imbalance_ratio) == track.key]
        ranked = ranked_trials(self._ledger, trials, self._config.objective)
        same = SameSets()
        distinct = [trial for trial in ranked if same.add(trial) is None]
        wanted = [*distinct[: self._config.finalists], *(t for t in trials[:1] if t in ranked)]
        return list({trial.trial_id: trial for trial in wanted}.values())

    def _choice(self, ratio: Ratio) -> Choice | None:
        """Return what is confirmed at a ratio; None before that is known, or where an arm's candidates all failed."""
        if not self._is_screened(ratio):
            return None
        best = {arm: self._best(candidates) for arm, candidates in self._candidates(ratio).items()}
        vanilla, winner = best.pop("vanilla", None), best.pop("prefinetune", None)
        if vanilla is None or winner is None:
            return None
        return Choice(vanilla, winner, tuple(filter(None, best.values())))

    def _best(self, candidates: list[TrialSettings]) -> TrialSettings | None:
        """Return the candidate with the best mean on the screening's replicates; the first of those that are alike."""
        if len(candidates) == 1 or not self._config.screening_replicates:
            return next(iter(candidates), None)
        scored = {
            settings: mean_of(trial.values(self._config.objective))
            for settings in candidates
            if (trial := self._ledger.trials[self._screened(settings).trial_id]).state == "complete"
        }
        sign = -1 if lower_is_better(self._config.objective) else 1
        return max(scored, key=lambda settings: sign * scored[settings], default=None)


def _settings(trials: list[TrialRecord]) -> list[TrialSettings]:
    return [TrialSettings.from_config(trial.config) for trial in trials]
