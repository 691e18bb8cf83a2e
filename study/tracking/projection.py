"""What MLflow should show of a trial, from the ledger alone: a run's name, tags, params and metrics.

An experiment is a study, a parent run its launch, a child run a trial. MLflow's tables show, for every metric, only
the point with the highest step, so the values of single replicates and their mean never share a name:

- ``values/val/macro_f1``: one point per replicate, step = replicate. (The prefix sorts after ``test`` and
  ``val``, so that MLflow lists results before the values behind them.)
- ``val/macro_f1``: the mean over the replicates, step = number of replicates it spans. A running trial shows
  its running mean, a finished one its result.
- ``val/gain_macro_f1`` with ``val/gain_ci_low`` and ``val/gain_ci_high``: the paired gain over the reference
  vanilla of the ratio, step = number of pairs. Vanilla's own gain is logged as 0, so that it sorts among the
  trials. Pairs that are too few for an interval have none logged. ``val_offsets/gain_macro_f1`` and its bounds are
  the same where both arms have class offsets fitted on validation.

- ``val/macro_f1_ci_low`` and ``val/macro_f1_ci_high``: the 95 % interval of that mean over replicates, for the
  objective in every run; in runs of vanilla, of controls and of the confirmation also for the few metrics of
  :data:`study.verdict.statistics.HEADLINE_METRICS`, on validation and on the test split. Other metrics have none, so
  that the table stays readable.

Vanilla and every control are runs of the same shape as a trial of the search.
"""

from __future__ import annotations

import hashlib
import math
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from study.record.gains import compared_with
from study.record.ledger import FRESH_PHASES, SEARCH_PHASES, Ledger, TrialRecord
from study.verdict.confirmed import test_metric
from study.verdict.statistics import HEADLINE_METRICS, metric_mean, paired_gain
from trainables.corpora.wording import shown
from trainables.interval import Interval
from trainables.method.arms import settings_of
from trainables.settings import digest_of
from trainables.trial import is_with_offsets, with_offsets

VALUES = "values/"
LONGEST_NAME = 250 - len(VALUES)  # MLflow takes 250 characters, and single replicates stand under VALUES
LONGEST_PARAM = 6000
LONGEST_TAG = 5000  # what every store of MLflow takes
# Settings that run names show, with their short forms. Where vanilla or a control is tuned, names also show lengths
# and learning rates.
_IN_NAME = {
    "tau": "tau",
    "weight_power": "p",
    "beta": "beta",
    "gamma": "gamma",
    "smote_neighbours": "k",
    "masking_rate": "masked",
}
_TUNED_IN_NAME = {"stage2_learning_rate": "lr", "stage2_epochs": "epochs", "head_learning_rate": "head lr"}
_ESCAPED = re.compile(r"[^\w./ \-]|_(?=x)")


@dataclass(frozen=True)
class RunView:
    """One trial as MLflow should show it.

    Attributes
    ----------
    name
        Run name, for people to read.
    tags, params
        Text, as MLflow keeps them.
    points
        For each (metric, replicate): value, and time in milliseconds since the epoch, in the order of replicates.
    means
        For each metric: value, and the number of replicates or pairs that it spans.
    state
        State of the trial in the ledger.
    started, finished
        Milliseconds since the epoch; ``finished`` is None while the trial runs.
    """

    name: str
    tags: dict[str, str]
    params: dict[str, str]
    points: dict[tuple[str, int], tuple[float, int]]
    means: dict[str, tuple[float, int]]
    state: str
    started: int
    finished: int | None


def view_of(trial: TrialRecord, ledger: Ledger, objective: str) -> RunView:
    """Return what MLflow should show of a trial.

    Parameters
    ----------
    trial
        The trial.
    ledger
        The ledger that holds its reference.
    objective
        Metric whose gain is shown, e.g. ``"val/macro_f1"``. The same metric on the test split, if present, gets a
        gain too, and so does either under class offsets that were fitted on validation.
    """
    tags = {
        "trial_id": trial.trial_id,
        "phase": trial.phase,
        "arm": trial.arm,
        "imbalance_ratio": str(trial.imbalance_ratio),
        "config_digest": digest_of(trial.config),
        "replicates": str(len(trial.replicates)),
        "state": trial.state,
    }
    if trial.matched_to is not None:
        tags["matched_to"] = trial.matched_to
    if trial.error:
        tags["reason" if trial.state == "infeasible" else "error"] = trial.error
    return RunView(
        name=run_name(trial),
        tags={key: cut(value, LONGEST_TAG) for key, value in tags.items()},
        params={
            name: cut(str(value), LONGEST_PARAM)
            for name, value in trial.read.items()
            # The configuration holds other settings too, but the arm does not use them.
            if value is not None and name in settings_of(trial.arm)
        },
        points=_points(trial, ledger, objective),
        means=_means(trial, ledger, objective),
        state=trial.state,
        started=_milliseconds(trial.started),
        finished=None if trial.finished is None else _milliseconds(trial.finished),
    )


def run_name(trial: TrialRecord) -> str:
    """Return a name that tells trials apart at a glance.

    Examples
    --------
    >>> config = {"operator": "aeda", "strength": 0.3}
    >>> run_name(TrialRecord("search-1", "search", "prefinetune", 0.1, config))
    'prefinetune r=0.1 aeda 0.3 #c84d'
    >>> run_name(TrialRecord("reference-1", "reference", "vanilla", 0.1, {}))
    'vanilla r=0.1 (reference)'
    >>> run_name(TrialRecord("control-1", "control", "focal", "natural", {"gamma": 2.0, "tau": 1.0}))
    'focal natural gamma=2 (control)'
    """
    ratio = "natural" if isinstance(trial.imbalance_ratio, str) else f"r={trial.imbalance_ratio:g}"
    words = [trial.arm, ratio]
    read = {name: value for name, value in trial.read.items() if name in settings_of(trial.arm)}
    if {"operator", "strength"} <= read.keys():
        words += [str(read["operator"]), f"{read['strength']:g}"]
    named = {**_IN_NAME, **(_TUNED_IN_NAME if trial.phase in ("reference_tuning", "control_search") else {})}
    words += [f"{short}={read[name]:g}" for name, short in named.items() if name in read]
    if trial.phase not in ("search", "control_search"):
        words.append(f"({trial.phase.removeprefix('reference_')})")
    if trial.phase in SEARCH_PHASES:
        words.append(f"#{digest_of(trial.config, 4)}")
    return " ".join(words)


def gain_name(metric: str, suffix: str | None = None) -> str:
    """Return the name of a gain or of a bound of its interval.

    Examples
    --------
    >>> gain_name("val/macro_f1"), gain_name("val/macro_f1", "ci_low")
    ('val/gain_macro_f1', 'val/gain_ci_low')
    """
    split, _, rest = metric.partition("/")
    return metric_name(f"{split}/gain_{suffix or rest}")


def bound_name(metric: str, bound: str) -> str:
    """Return the name of a bound of a metric's interval over replicates.

    Examples
    --------
    >>> bound_name("val/macro_f1", "ci_low")
    'val/macro_f1_ci_low'
    """
    return metric_name(f"{metric}_{bound}")


def metric_name(name: str) -> str:
    """Return a metric name that MLflow accepts.

    MLflow allows letters, digits, ``_ . - /`` and spaces, but no empty or dotted path segments; class names may hold
    anything. Any other character becomes ``_x<hexadecimal code point>_``. The underscore of a ``_x`` that is already
    in a name is escaped too, so two names never become one. Names longer than MLflow's limit end in a digest of the
    whole name.

    Examples
    --------
    >>> metric_name("val/recall/absorption")
    'val/recall/absorption'
    >>> metric_name("val/f1/α (50%)")
    'val/f1/α _x28_50_x25__x29_'
    """
    segments = [_ESCAPED.sub(lambda m: f"_x{ord(m.group()):X}_", segment) for segment in name.split("/")]
    safe = "/".join(
        segment.replace(".", "_x2E_") if segment == "." or segment.startswith("..") else segment or "_x_"
        for segment in segments
    )
    if len(safe) <= LONGEST_NAME:
        return safe
    return f"{safe[: LONGEST_NAME - 13].rstrip('/')}-{text_digest(name)}"


def cut(value: str, longest: int) -> str:
    """Return a text that fits MLflow's limit; one that is cut says so, and ends in a digest of the whole.

    Examples
    --------
    >>> cut("short", 100), cut("a" * 101, 40)
    ('short', 'aaaaaaaa… (101 characters, 9d0793397991)')
    """
    if len(value) <= longest:
        return value
    end = f"… ({len(value)} characters, {text_digest(value)})"
    return value[: longest - len(end)] + end


def renaming(classes: Iterable[str]) -> str:
    """Say which class names the names of MLflow's metrics cannot hold as they are; empty where there is none."""
    names = {name: metric_name(f"val/recall/{name}") for name in classes}
    changed = [name for name, written in names.items() if written != f"val/recall/{name}"]
    if not changed:
        return ""
    longest = max(changed, key=len)
    return (
        f"MLflow's names of metrics hold letters, digits, spaces and _ . - / alone, and {LONGEST_NAME} characters: "
        f"{len(changed)} of {len(names)} classes are written otherwise there, e.g. '{shown(longest, 40)}' as "
        f"'{shown(names[longest], 60)}'."
    )


def text_digest(text: str) -> str:
    """Return a short digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _points(trial: TrialRecord, ledger: Ledger, objective: str) -> dict[tuple[str, int], tuple[float, int]]:
    gained: dict[str, dict[int, float]] = {}
    for metric in _gained_metrics(objective):
        reference = _reference_values(trial, ledger, metric)
        ours = trial.values(metric)
        gained[gain_name(metric)] = {r: ours[r] - reference[r] for r in ours.keys() & reference.keys()}
    points: dict[tuple[str, int], tuple[float, int]] = {}
    worked = 0.0
    for replicate, record in sorted(trial.replicates.items()):
        worked += record.seconds
        time = _milliseconds(trial.started + worked)
        values = {metric_name(key): value for key, value in record.metrics.items()}
        values |= {metric_name(f"diagnostics/{key}"): value for key, value in record.diagnostics.items()}
        values |= {key: gains[replicate] for key, gains in gained.items() if replicate in gains}
        values["seconds"] = record.seconds
        points |= {(VALUES + key, replicate): (_storable(v), time) for key, v in values.items()}
    return points


def _means(trial: TrialRecord, ledger: Ledger, objective: str) -> dict[str, tuple[float, int]]:
    if not trial.replicates:
        return {}
    means = {}
    for metric in _gained_metrics(objective):
        gain = paired_gain(trial.values(metric), _reference_values(trial, ledger, metric), metric)
        if gain.n:
            means[gain_name(metric)] = (gain.mean, gain.n)
        means |= _bounds(gain, partial(gain_name, metric))
    bounded = _bounded_metrics(trial, objective)
    scored = {key for record in trial.replicates.values() for key in record.metrics}
    for metric in sorted(scored, key=lambda key: (key not in _gained_metrics(objective), key)):
        values = trial.values(metric).values()
        mean = statistics.fmean(values) if all(map(math.isfinite, values)) else math.nan
        means[metric_name(metric)] = (mean, len(values))
        if metric in bounded:
            means |= _bounds(metric_mean(values, metric), partial(bound_name, metric))
    means["seconds"] = (trial.seconds, len(trial.replicates))
    return {key: (_storable(value), n) for key, (value, n) in means.items()}


def _bounds(interval: Interval, name: Callable[[str], str]) -> dict[str, tuple[float, int]]:
    """Return the bounds of an interval, if it has any, under their names, beside the replicates that they rest on."""
    if interval.ci_low is None or interval.ci_high is None:
        return {}
    return {name("ci_low"): (interval.ci_low, interval.n), name("ci_high"): (interval.ci_high, interval.n)}


def _bounded_metrics(trial: TrialRecord, objective: str) -> set[str]:
    """Return the metrics of which a run shows the interval over replicates beside the mean."""
    if trial.phase in SEARCH_PHASES:
        return {objective}
    headline = (f"{part}/{name}" for part in ("val", "test") for name in HEADLINE_METRICS)
    return {objective, test_metric(objective), *headline}


def _gained_metrics(objective: str) -> tuple[str, ...]:
    asked = objective, test_metric(objective)
    return asked if is_with_offsets(objective) else (*asked, *map(with_offsets, asked))


def _reference_values(trial: TrialRecord, ledger: Ledger, metric: str) -> Mapping[int, float]:
    """Return the values of the vanilla to pair with: on fresh replicates, the one that has run on the same ones."""
    vanilla = (
        compared_with(ledger, trial)
        if trial.phase in FRESH_PHASES
        else ledger.reference(trial.imbalance_ratio)
    )
    return {} if vanilla is None else vanilla.values(metric)


def _storable(value: float) -> float:
    """Return a value that a database returns unchanged: databases clip infinities, so they are clipped here."""
    if math.isnan(value):
        return float("nan")
    return max(-sys.float_info.max, min(sys.float_info.max, float(value)))


def same_value(a: float, b: float) -> bool:
    """Return whether two values are the same to MLflow, where an undefined one equals itself."""
    return a == b or (math.isnan(a) and math.isnan(b))


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
