"""What the search tries next: Optuna, with one sampler per arm and imbalance ratio that sees only its own gains.

Ratios are covered evenly, because "at which imbalance" is part of the question, and each ratio's sampler
learns from that ratio alone: gains at a severe ratio are larger whatever the settings. A tuned control has its own
space and samplers.

The sampler of a track's n-th proposal is seeded by the track and n, so a resumed search proposes what an uninterrupted
one would have proposed from the same results, and no track's proposals depend on another's. What ended is recorded in
Optuna's storage, for Optuna's own tools, see :mod:`study.plan.optuna_record`.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import SQLAlchemyError

from study.config.study import StudyConfig
from study.plan.aims import constraints_of, directions, learnt_of, value_names
from study.plan.optuna_record import Ended, OptunaRecord
from study.plan.same_sets import SameSets, same_set_sentence
from study.plan.sampling import TrackSampler
from study.plan.tracks import TrackKey, tracks_of
from study.plan.warm_start import EarlierTrial
from study.record.gains import gains_of
from study.record.ledger import SEARCH_PHASES, Ledger, TrialRecord
from trainables.errors import first_line


class GainSearch:
    """Propose values and learn from the trials that ran them, see :mod:`study.plan.aims`.

    Parameters
    ----------
    config
        The study.
    storage
        File of Optuna's SQLite storage, which is rebuilt from the ledger. None keeps it in memory.
    say
        Called with what a user should know: that the file cannot be written any more, or that a space is exhausted.
    earlier
        Trials of an earlier study, which the samplers know from the start.
    """

    def __init__(
        self,
        config: StudyConfig,
        storage: Path | None = None,
        say: Callable[[str], None] = lambda sentence: None,
        earlier: Sequence[EarlierTrial] = (),
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self._config = config
        self._ratio_distribution = CategoricalDistribution(tuple(config.imbalance_ratios))
        self._samplers = {track.key: TrackSampler(config, track) for track in tracks_of(config)}
        self._asked = {track.key: track.trials for track in tracks_of(config)}
        for trial in earlier:
            sampler = self._samplers[trial.key]
            sampler.know(sampler.values_of(trial.config), trial.learnt, trial.constraints)
        self._storage, self._say = storage, say
        arms = dict.fromkeys(arm for arm, _ in self._samplers)
        names = {arm: config.name if arm == "prefinetune" else f"{config.name}-{arm}" for arm in arms}
        self._record = OptunaRecord(storage, names, directions(config), value_names(config), say)
        self._known: set[str] = set()  # trials that were opened and have not been told
        self._sets = {key: SameSets() for key in self._samplers}
        self._same: Counter[TrackKey] = Counter()  # trials that were the same training as an earlier one
        self._replays = False

    def replay(self, ledger: Ledger) -> None:
        """Learn every search trial that the ledger knows; those that have not ended stay open.

        Trials are opened in the order in which they started and told in the order in which they ended, as in the
        launch that ran them, because the next proposal depends on both orders. Trials of a control that this launch
        no longer tunes are skipped.
        """
        known = [
            trial
            for trial in ledger.of_phase(*SEARCH_PHASES)
            if (trial.arm, trial.imbalance_ratio) in self._samplers
        ]
        self._replays = True
        for trial, has_ended in _events(known):
            if has_ended:
                self.tell(trial, ledger)
                continue
            sampler = self._samplers[trial.arm, trial.imbalance_ratio]
            if sampler.needs_its_proposals:
                sampler.sample(sampler.values_of(trial.config))
            self._open(trial)
        self._replays = False

    def propose(self, key: TrackKey, first: Mapping[str, Any]) -> dict[str, Any]:
        """Return the next values of a track that is not exhausted.

        Parameters
        ----------
        key
            The track.
        first
            Values of its first trial; that trial's other values are sampled.
        """
        return self._samplers[key].sample(first)

    def opened_trials(self, key: TrackKey) -> int:
        """Return how many trials of a track have been started.

        Those that turned out to be the same training count once; at most as many are made up for as the track has.
        """
        return self._samplers[key].opened - min(self._same[key], self._asked[key])

    def is_exhausted(self, key: TrackKey) -> bool:
        """Return whether all of a track's space has been tried."""
        return self._samplers[key].is_exhausted

    def importances(self) -> list[dict[str, Any]]:
        """Return what mattered in pre-finetuning's search, by imbalance ratio, as plain JSON values.

        Ratios of too few scored trials are left out, see :func:`study.plan.importances.importances`.
        """
        found = {
            ratio: (sampler.scored, sampler.importances())
            for (arm, ratio), sampler in self._samplers.items()
            if arm == "prefinetune"
        }
        return [
            {"imbalance_ratio": ratio, "trials": trials, "importances": shares}
            for ratio, (trials, shares) in found.items()
            if shares is not None
        ]

    def opened(self, trial: TrialRecord) -> None:
        """Record that proposed values now run as a trial; tell when none is left after them."""
        self._open(trial)
        sampler = self._samplers[trial.arm, trial.imbalance_ratio]
        if sampler.is_exhausted and sampler.size < self._asked[trial.arm, trial.imbalance_ratio]:
            self._say(
                f"All {sampler.size} configurations of {trial.arm}'s space at imbalance ratio "
                f"{trial.imbalance_ratio} are tried now: its search ends with them, instead of "
                f"{self._asked[trial.arm, trial.imbalance_ratio]} trials."
            )

    def _open(self, trial: TrialRecord) -> None:
        if trial.trial_id in self._known:
            return
        sampler = self._samplers[trial.arm, trial.imbalance_ratio]
        self._known.add(trial.trial_id)
        sampler.open(sampler.values_of(trial.config))

    def tell(self, trial: TrialRecord, ledger: Ledger) -> None:
        """Learn the end of a trial.

        Parameters
        ----------
        trial
            Its record, with its final state.
        ledger
            The ledger that holds it, and what its gains are taken over.
        """
        self._known.remove(trial.trial_id)
        gains = gains_of(ledger, trial, self._config.objective)
        learnt = learnt_of(self._config, ledger, trial)
        constraints = constraints_of(self._config, trial)
        key = trial.arm, trial.imbalance_ratio
        sampler = self._samplers[key]
        values = sampler.values_of(trial.config)
        sampler.learn(values, learnt, constraints)
        earlier = self._sets[key].add(trial)
        if earlier is not None:
            self._same[key] += 1
            if not self._replays:
                self._say(same_set_sentence(trial, earlier))
        read = sampler.read_of(values)
        self._record.add(
            Ended(trial, gains, learnt, constraints),
            {**read, "imbalance_ratio": trial.imbalance_ratio},
            {**{name: sampler.space[name] for name in read}, "imbalance_ratio": self._ratio_distribution},
        )

    def catch_up(self, ledger: Ledger) -> None:
        """Write Optuna's storage anew if it lacks something that the ledger holds."""
        if not self._record.behind or self._storage is None:
            return
        try:
            GainSearch(self._config, self._storage, self._say).replay(ledger)
        except (StorageInternalError, SQLAlchemyError, OSError) as error:
            self._say(
                f"Optuna's storage {self._storage} is incomplete ({first_line(error)}). The next launch writes "
                "it anew."
            )


def _events(trials: list[TrialRecord]) -> Iterator[tuple[TrialRecord, bool]]:
    """Go through the beginnings and the ends (True) of trials in their order, each beginning before its end."""
    waiting = list(reversed(trials))
    begun: set[str] = set()
    ended = [(trial.finished, trial) for trial in trials if trial.finished is not None]
    for moment, trial in sorted(ended, key=lambda pair: pair[0]):
        while waiting and (waiting[-1].started <= moment or trial.trial_id not in begun):
            begun.add(waiting[-1].trial_id)
            yield waiting.pop(), False
        yield trial, True
    yield from ((trial, False) for trial in reversed(waiting))
