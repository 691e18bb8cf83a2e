"""What is tried next on one track: a sampler proposes, and never the same configuration twice."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from study.config.ranges import Axis, Range, values_of
from study.config.samplers import CONSTRAINED, NSGA_II, is_ordered
from study.config.study import StudyConfig
from study.plan.aims import directions
from study.plan.importances import importances
from study.plan.samplers import GENERATIONAL, build_sampler, proposals_at_most
from study.plan.tracks import Track
from trainables.seeds import derive_seed, generator
from trainables.settings import TrialSettings

# So many results TPE is shown at most, or else a proposal takes the longer the more was tried: the best ones (its good
# group holds 25), the latest, and as many of the others, evenly spaced over the search.
_BEST, _LATEST, _OTHERS = 50, 100, 100
_SHOWN = _BEST + _LATEST + _OTHERS
_BETWEEN = 50  # results after which they are chosen anew

Values = Mapping[str, Any]
Constraints = Mapping[str, float]
_Key = tuple[Any, ...]


class _Result(NamedTuple):
    values: dict[str, Any]
    learnt: list[float]
    constraints: Constraints | None


class TrackSampler:
    """Propose the values of one arm at one imbalance ratio.

    A proposal that is known already is made to look like one that still runs, which the sampler takes for a poor
    result (the constant liar), and the sampler proposes again; a generational one is told the known result instead.
    If it keeps to what is known, the untried configuration nearest to its last proposal is taken. The sampler is built
    anew for every proposal, with a seed of the track and the proposal's number. Of hundreds of results TPE sees the
    best, the latest and a part of the others, so that a proposal costs the same however many there are.

    A setting that changes nothing beside the other values (no strength where rows are repeated) is not sampled: it is
    held at the first of its values, so that two trials never differ in it alone.

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
        self._track = track
        self._axes = {name: track.space[name] for name in sorted(track.space)}
        self.size = track.size  # number of configurations that the space holds, which may be infinite
        self.space: dict[str, BaseDistribution] = {
            name: _range_distribution(axis) if isinstance(axis, Range) else CategoricalDistribution(axis)
            for name, axis in self._axes.items()
        }
        self._sampled = {name: _sampled_distribution(axis) for name, axis in self._axes.items()}
        self._directions = directions(config)
        self._view = optuna.create_study(directions=self._directions)
        self._seen: set[_Key] = set()
        self._open: dict[_Key, optuna.Trial] = {}
        self._proposed: tuple[_Key, optuna.Trial] | None = None
        self._results: dict[_Key, _Result] = {}
        self._earlier: list[FrozenTrial] = []
        self._forgotten = (
            0  # results up to which all but the best and the latest were put out of the sampler's sight
        )
        self.opened = self.repeated = self.nearest = 0

    @property
    def needs_its_proposals(self) -> bool:
        """Whether the sampler has to propose anew, after a restart, what was opened before."""
        return self._config.sampler in GENERATIONAL

    def values_of(self, settings: Values) -> dict[str, Any]:
        """Return the searched values of a configuration."""
        # A configuration leaves out a setting that came later, at its default.
        whole = vars(TrialSettings.from_config(settings))
        return {name: whole[name] for name in self._axes}

    def read_of(self, values: Values) -> dict[str, Any]:
        """Return those of some values that change something beside the others."""
        unread = self._track.unread(values)
        return {name: value for name, value in values.items() if name not in unread}

    def open(self, values: Values) -> None:
        """Record that these values are being tried."""
        self._forget()  # where a study goes on, at the same moments as before
        key = _key(values)
        self._seen.add(_key(self._settled(values)))  # an earlier version held nothing
        proposed, self._proposed = self._proposed, None
        if proposed is not None and proposed[0] == key:
            self._open[key] = proposed[1]
        else:
            if proposed is not None:
                self._view.tell(proposed[1], state=TrialState.FAIL)
            self._open[key] = self._enter(values)
        self.opened += 1

    def learn(
        self, values: Values, learnt: list[float] | None, constraints: Constraints | None = None
    ) -> None:
        """Learn what values that were opened came to; None where they failed.

        A sampler that takes no constraints learns nothing of values that break one.
        """
        key = _key(values)
        trial = self._open.pop(key)
        if learnt is None or not self._takes(constraints):
            self._view.tell(trial, state=TrialState.FAIL)
            return
        self._results[key] = _Result(dict(values), learnt, constraints)
        self._tell(trial, learnt, constraints)

    def know(self, values: Values, learnt: list[float], constraints: Constraints | None = None) -> None:
        """Learn what an earlier study found; it counts neither as tried nor as a result."""
        if not self._takes(constraints):
            return
        earlier = self._frozen(values, learnt, constraints)
        self._earlier.append(earlier)
        if self._config.sampler == NSGA_II:
            self._tell(self._enter(values), learnt, constraints)
        else:
            self._view.add_trial(earlier)

    def _takes(self, constraints: Constraints | None) -> bool:
        breaks = any(value > 0 for value in (constraints or {}).values())
        return not breaks or self._config.sampler in CONSTRAINED

    def _tell(self, trial: optuna.Trial, learnt: list[float], constraints: Constraints | None) -> None:
        for name, value in (constraints or {}).items() if self._config.sampler in CONSTRAINED else ():
            trial.set_constraint(name, value)
        self._view.tell(trial, learnt)

    @property
    def scored(self) -> int:
        """Number of trials whose gains were learnt."""
        return len(self._results)

    def importances(self) -> dict[str, float] | None:
        """Return how much each setting mattered; None where too little is known."""
        results = optuna.create_study(direction=self._directions[0])
        results.add_trials([self._frozen(of.values, of.learnt[:1]) for of in self._results.values()])
        return importances(results, self._config.seed)

    @property
    def is_exhausted(self) -> bool:
        """True when every configuration of the space has been seen."""
        return len(self._seen) >= self.size

    def sample(self, first: Values) -> dict[str, Any]:
        """Return unseen values, of which there must be some; ``first`` applies where none have been seen yet."""
        if not self._seen:
            rng = generator(self._config.seed, f"{self._purpose}/first", 0)
            drawn = {
                name: axis.at(rng.random()) if isinstance(axis, Range) else axis[int(rng.integers(len(axis)))]
                for name, axis in self._axes.items()
            }
            return self._settled({**drawn, **first})
        self._forget()
        repeated = []
        values: dict[str, Any] = {}
        try:
            for attempt in range(proposals_at_most(self._config.sampler, knows_many=self._forgotten > 0)):
                self._renew_sampler(attempt)
                trial = self._view.ask(self._sampled)
                proposed = self._external(trial.params)
                values = self._settled(proposed)
                key = _key(values)
                if key not in self._seen:
                    if values == proposed:
                        self._proposed = key, trial
                    else:
                        repeated.append(trial)  # what is tried instead is entered when it is opened
                    return values
                self.repeated += 1
                if self.needs_its_proposals and key in self._results:
                    self._tell(trial, self._results[key].learnt, self._results[key].constraints)
                else:
                    repeated.append(trial)
        finally:
            for trial in repeated:
                self._view.tell(trial, state=TrialState.FAIL)
        self.nearest += 1
        return self._nearest_untried(values)

    def _forget(self) -> None:
        """Show TPE, where it pursues one aim, the results that it makes use of, however many there are.

        What it sees follows from the results and their order alone, so that a launch that goes on sees the same.
        """
        learnt = len(self._earlier) + len(self._results)
        least = max(_SHOWN, self._config.startup_trials) + _BETWEEN
        if self._config.sampler != "tpe" or len(self._directions) > 1 or learnt < least:
            return
        up_to = learnt - (learnt - _SHOWN) % _BETWEEN
        if up_to == self._forgotten:
            return
        self._forgotten = up_to
        results = [*self._earlier, *(self._frozen(*result) for result in self._results.values())]
        older, latest = results[: up_to - _LATEST], results[up_to - _LATEST :]
        sign = -1.0 if self._directions[0] == "maximize" else 1.0
        order = sorted(range(len(older)), key=lambda i: (_violation(older[i]), sign * older[i].value))
        others = sorted(order[_BEST:])
        spaced = (others[round(place)] for place in np.linspace(0, len(others) - 1, _OTHERS))
        kept = [older[i] for i in sorted({*order[:_BEST], *spaced})]
        self._view = optuna.create_study(directions=self._directions)
        self._view.add_trials([*kept, *latest])
        self._proposed = None
        self._open = {key: self._enter(dict(zip(self._axes, key, strict=True))) for key in self._open}

    def _renew_sampler(self, attempt: int) -> None:
        seed = derive_seed(self._config.seed, f"{self._purpose}/{attempt}", self.opened) % 2**32
        name, startup = self._config.sampler, min(self._config.startup_trials, _SHOWN)
        self._view.sampler = build_sampler(
            name, seed, startup, self._earlier, self.size, self._untried, self._sampled
        )

    def _untried(self) -> list[dict[str, Any]]:
        """Return all configurations that have not been seen, as the sampler sees their values."""
        axes = [values_of(axis) or () for axis in self._axes.values()]
        every = (dict(zip(self._axes, found, strict=True)) for found in itertools.product(*axes))
        settled = (values for values in every if values == self._settled(values))
        return [self._internal(values) for values in settled if _key(values) not in self._seen]

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
        for differing in range(1, len(self._axes) + 1):
            unseen = []
            for names in itertools.combinations(self._axes, differing):
                others = (_others(self._axes[name], values[name], rng) for name in names)
                for changed in itertools.product(*others):
                    neighbour = self._settled({**values, **dict(zip(names, changed, strict=True))})
                    if _key(neighbour) not in self._seen:
                        unseen.append(neighbour)
            if unseen:
                return unseen[int(rng.integers(len(unseen)))]
        raise AssertionError("every configuration has been tried")

    def _settled(self, values: Values) -> dict[str, Any]:
        """Return values in which the settings that change nothing beside the others are at their first."""
        unread = self._track.unread(values)
        return {n: _first_of(self._axes[n]) if n in unread else value for n, value in values.items()}

    def _internal(self, values: Values) -> dict[str, Any]:
        """Return values as the sampler sees them: of numbers on a list, their places."""
        return {n: self._list(n).index(v) if self._is_listed(n) else v for n, v in values.items()}

    def _external(self, params: Values) -> dict[str, Any]:
        return {n: self._list(n)[v] if self._is_listed(n) else v for n, v in params.items()}

    def _frozen(
        self, values: Values, learnt: list[float], constraints: Constraints | None = None
    ) -> FrozenTrial:
        return create_trial(
            params=self._internal(values),
            distributions=self._sampled,
            values=learnt,
            constraints=dict(constraints) if constraints and self._config.sampler in CONSTRAINED else None,
        )

    def _list(self, name: str) -> tuple[Any, ...]:
        axis = self._axes[name]
        assert isinstance(axis, tuple)
        return axis

    def _is_listed(self, name: str) -> bool:
        axis = self._axes[name]
        return isinstance(axis, tuple) and is_ordered(axis)


def _key(params: Values) -> _Key:
    return tuple(params[name] for name in sorted(params))


def _violation(trial: FrozenTrial) -> float:
    """Return by how much a result breaks its constraints, which TPE ranks before its value."""
    return float(sum(value for value in trial.constraints.values() if value > 0))


def _first_of(axis: Axis) -> Any:
    return axis.low if isinstance(axis, Range) else axis[0]


def _others(axis: Axis, value: Any, rng: np.random.Generator) -> list[Any]:
    """Return the other values of an axis; where there is no end of them, a random one."""
    values = values_of(axis)
    if values is None:
        assert isinstance(axis, Range)
        return [axis.at(rng.random())]
    return [other for other in values if other != value]


def _range_distribution(axis: Range) -> BaseDistribution:
    kind = IntDistribution if axis.whole else FloatDistribution
    return kind(axis.low, axis.high, log=axis.log)


def _sampled_distribution(axis: Axis) -> BaseDistribution:
    """Return what the sampler draws: for numbers on a list their place, so that it knows their order."""
    if isinstance(axis, Range):
        return _range_distribution(axis)
    return IntDistribution(0, len(axis) - 1) if is_ordered(axis) else CategoricalDistribution(axis)
