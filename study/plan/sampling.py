"""What is tried next on one track: a sampler proposes, and never the same configuration twice."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from study.config.samplers import NSGA_II, is_ordered
from study.config.study import StudyConfig
from study.plan.importances import importances
from study.plan.samplers import GENERATIONAL, build_sampler, proposals_at_most
from study.plan.tracks import Track
from trainables.seeds import derive_seed, generator
from trainables.settings import TrialSettings

Values = Mapping[str, Any]
_Key = tuple[Any, ...]


class TrackSampler:
    """Propose the values of one arm at one imbalance ratio.

    A proposal that is known already is made to look like one that still runs, which the sampler takes for a poor
    result (the constant liar), and the sampler proposes again; a generational one is told the known result instead.
    If it keeps to what is known, the untried configuration nearest to its last proposal is taken. The sampler is built
    anew for every proposal, with a seed of the track and the proposal's number.

    Parameters
    ----------
    config
        The study.
    track
        The arm and ratio to sample for.

    Attributes
    ----------
    opened
        Number of configurations that were tried or are being tried.
    repeated, nearest
        How many proposals were known already, and how often the nearest untried configuration was taken.
    """

    def __init__(self, config: StudyConfig, track: Track) -> None:
        self._config = config
        self._purpose = f"sampler/{track.arm}/{track.imbalance_ratio}"
        self._grids = {name: tuple(track.space[name]) for name in sorted(track.space)}
        self.space: dict[str, BaseDistribution] = {
            name: CategoricalDistribution(grid) for name, grid in self._grids.items()
        }
        self._sampled = {name: _sampled_distribution(grid) for name, grid in self._grids.items()}
        self._view = optuna.create_study(direction="maximize")
        self._seen: set[_Key] = set()
        self._open: dict[_Key, optuna.Trial] = {}
        self._proposed: tuple[_Key, optuna.Trial] | None = None
        self._results: dict[_Key, tuple[dict[str, Any], float]] = {}
        self._earlier: list[FrozenTrial] = []
        self.opened = self.repeated = self.nearest = 0

    @property
    def needs_its_proposals(self) -> bool:
        """Whether the sampler has to propose anew, after a restart, what was opened before."""
        return self._config.sampler in GENERATIONAL

    def values_of(self, settings: Values) -> dict[str, Any]:
        """Return the searched values of a configuration."""
        # A configuration leaves out a setting that came later, at its default.
        whole = vars(TrialSettings.from_config(settings))
        return {name: whole[name] for name in self._grids}

    def open(self, values: Values) -> None:
        """Record that these values are being tried."""
        key = _key(values)
        self._seen.add(key)
        proposed, self._proposed = self._proposed, None
        if proposed is not None and proposed[0] == key:
            self._open[key] = proposed[1]
        else:
            if proposed is not None:
                self._view.tell(proposed[1], state=TrialState.FAIL)
            self._open[key] = self._enter(values)
        self.opened += 1

    def learn(self, values: Values, gain: float | None) -> None:
        """Learn the gain of values that were opened; None where they failed."""
        key = _key(values)
        trial = self._open.pop(key)
        if gain is None:
            self._view.tell(trial, state=TrialState.FAIL)
            return
        self._results[key] = dict(values), gain
        self._view.tell(trial, gain)

    def know(self, values: Values, gain: float) -> None:
        """Learn what an earlier study found; it counts neither as tried nor as a result."""
        earlier = self._frozen(values, gain)
        self._earlier.append(earlier)
        if self._config.sampler == NSGA_II:
            self._view.tell(self._enter(values), gain)
        else:
            self._view.add_trial(earlier)

    @property
    def scored(self) -> int:
        """Number of trials whose gains were learnt."""
        return len(self._results)

    def importances(self) -> dict[str, float] | None:
        """Return how much each setting mattered; None where too little is known."""
        results = optuna.create_study(direction="maximize")
        results.add_trials([self._frozen(values, gain) for values, gain in self._results.values()])
        return importances(results, self._config.seed)

    @property
    def size(self) -> int:
        """Number of configurations that the grids hold."""
        return math.prod(map(len, self._grids.values()))

    @property
    def is_exhausted(self) -> bool:
        """True when every combination of the grids has been seen."""
        return len(self._seen) >= self.size

    def sample(self, first: Values) -> dict[str, Any]:
        """Return unseen values, of which there must be some; ``first`` applies where none have been seen yet."""
        if not self._seen:
            rng = generator(self._config.seed, f"{self._purpose}/first", 0)
            drawn = {name: grid[int(rng.integers(len(grid)))] for name, grid in self._grids.items()}
            return {**drawn, **first}
        repeated = []
        values: dict[str, Any] = {}
        try:
            for attempt in range(proposals_at_most(self._config.sampler)):
                self._renew_sampler(attempt)
                trial = self._view.ask(self._sampled)
                values = {n: self._grids[n][v] if self._is_ordered(n) else v for n, v in trial.params.items()}
                key = _key(values)
                if key not in self._seen:
                    self._proposed = key, trial
                    return values
                self.repeated += 1
                if self.needs_its_proposals and key in self._results:
                    self._view.tell(trial, self._results[key][1])
                else:
                    repeated.append(trial)
        finally:
            for trial in repeated:
                self._view.tell(trial, state=TrialState.FAIL)
        self.nearest += 1
        return self._nearest_untried(values)

    def _renew_sampler(self, attempt: int) -> None:
        seed = derive_seed(self._config.seed, f"{self._purpose}/{attempt}", self.opened) % 2**32
        name, startup = self._config.sampler, self._config.startup_trials
        self._view.sampler = build_sampler(name, seed, startup, self._earlier, self.size, self._untried)

    def _untried(self) -> list[dict[str, Any]]:
        """Return all configurations that have not been seen, as the sampler sees their values."""
        every = (
            dict(zip(self._grids, combination, strict=True))
            for combination in itertools.product(*self._grids.values())
        )
        return [self._internal(values) for values in every if _key(values) not in self._seen]

    def _enter(self, values: Values) -> optuna.Trial:
        """Return a running trial of given values."""
        self._renew_sampler(attempt=0)
        self._view.enqueue_trial(self._internal(values))
        trial = self._view.ask(self._sampled)
        if self._config.sampler == NSGA_II:
            _ = trial.relative_params  # puts it in a generation, without which it would be no parent
        return trial

    def _nearest_untried(self, values: Values) -> dict[str, Any]:
        """Return, of the unseen configurations that differ in the fewest settings, one at random."""
        rng = generator(self._config.seed, f"{self._purpose}/unseen", self.opened)
        for differing in range(1, len(self._grids) + 1):
            unseen = []
            for names in itertools.combinations(self._grids, differing):
                others = ([v for v in self._grids[name] if v != values[name]] for name in names)
                for changed in itertools.product(*others):
                    neighbour = {**values, **dict(zip(names, changed, strict=True))}
                    if _key(neighbour) not in self._seen:
                        unseen.append(neighbour)
            if unseen:
                return unseen[int(rng.integers(len(unseen)))]
        raise AssertionError("every configuration has been tried")

    def _internal(self, values: Values) -> dict[str, Any]:
        return {n: self._grids[n].index(v) if self._is_ordered(n) else v for n, v in values.items()}

    def _frozen(self, values: Values, gain: float) -> FrozenTrial:
        return create_trial(params=self._internal(values), distributions=self._sampled, value=gain)

    def _is_ordered(self, name: str) -> bool:
        return isinstance(self._sampled[name], IntDistribution)


def _key(params: Values) -> _Key:
    return tuple(params[name] for name in sorted(params))


def _sampled_distribution(values: Sequence[Any]) -> BaseDistribution:
    """Return what the sampler draws: for numbers the position on their grid, so that it knows their order."""
    return (
        IntDistribution(0, len(values) - 1) if is_ordered(values) else CategoricalDistribution(tuple(values))
    )
