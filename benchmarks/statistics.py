"""How often the statistics of the verdict are wrong: false positives, coverage and power, simulated.

Command::

    python -m benchmarks.statistics

Everything is seeded. A share of 2,000 simulations is known to ±.01 (two standard errors, at .05 or .95). The reference
in the same run is the percentile bootstrap for coverage, and uncorrected looks for the sequential rule.

Differences are ``normal``; ``skewed``: lognormal with σ = .5 (skewness 1.75); ``very_skewed``: lognormal with σ = 1
(skewness 6.2); ``discrete``: multiples of 1/60, the step of sixty scored rows. Their standard deviation is .03. For
``false_positives`` both arms are drawn from the same one of these distributions.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import ndtr

from study.command.cli import run_command
from study.statistics.counts import macro_f1_counts
from study.statistics.crossed import crossed, crossed_bootstrap_t_interval, crossed_student_interval
from study.statistics.differences import (
    Floats,
    bootstrap_t_interval,
    gain_interval,
    resample_weights,
    student_interval,
)
from study.statistics.judgement import Evidence, Rules, judge, verdict_on
from study.statistics.looks import Looks
from study.statistics.power import detectable_gain
from study.statistics.scale import Scale
from study.statistics.significance import paired_permutation_test
from trainables.interval import Interval
from trainables.seeds import generator

SPREAD = 0.03
STEP = 1.0 / 60.0
REPLICATES = (5, 10, 20)
KINDS = ("normal", "skewed", "very_skewed", "discrete")
BOUNDED = Scale(-1.0, 1.0)
IN_STEPS = Scale(-1.0, 1.0, STEP)
# What a verdict of `equivalent` would hide: whether a difference is called at all.
NO_REGION = Rules(region=0.0)
_SIGMA = {"skewed": 0.5, "very_skewed": 1.0}


def scale_of(kind: str) -> Scale:
    """Return the scale of one kind of differences."""
    return IN_STEPS if kind == "discrete" else BOUNDED


def draw(kind: str, shape: tuple[int, ...], rng: np.random.Generator, mean: float = 0.0) -> Floats:
    """Return values of one kind with a given mean and a standard deviation of :data:`SPREAD`."""
    if kind in _SIGMA:
        variance = _SIGMA[kind] ** 2
        own = math.exp(variance / 2.0), math.sqrt((math.exp(variance) - 1.0) * math.exp(variance))
        return mean + SPREAD * (rng.lognormal(0.0, _SIGMA[kind], shape) - own[0]) / own[1]
    values = rng.normal(mean, SPREAD, shape)
    if kind == "discrete":
        # Up or down by chance, so that the mean stays what it was.
        return STEP * np.floor(values / STEP + rng.random(shape))
    return values


def percentile_interval(differences: Floats, confidence: float, seed: int = 0) -> Interval:
    """Return the percentile bootstrap's interval: the reference, which nothing of the study uses."""
    n = len(differences)
    means = resample_weights(n, 9999, seed) @ differences / n
    low, high = np.quantile(means, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    return Interval(float(differences.mean()), float(low), float(high), n)


def coverage(kind: str, n: int, simulations: int) -> dict[str, float]:
    """Return how often each 95 % interval holds the true mean of one kind of differences."""
    truth, scale = 0.01, scale_of(kind)
    samples = draw(kind, (simulations, n), generator(0, f"coverage/{kind}", n), truth)
    return {
        "percentile": _share(_holds(percentile_interval(d, 0.95), truth) for d in samples),
        "student": _share(_holds(student_interval(d, 0.95, scale), truth) for d in samples),
        "bootstrap_t": _share(_holds(bootstrap_t_interval(d, 0.95, scale), truth) for d in samples),
        "decides": _share(_holds(gain_interval(d, 0.95, scale), truth) for d in samples),
    }


def false_positives(kind: str, n: int, simulations: int) -> dict[str, float]:
    """Return how often each method calls a difference at α = .05 where both arms are alike."""
    rng, scale = generator(0, f"false positives/{kind}", n), scale_of(kind)
    samples = draw(kind, (simulations, n), rng) - draw(kind, (simulations, n), rng)
    intervals = [gain_interval(d, 0.95, scale) for d in samples]
    p_values = [paired_permutation_test(d) for d in samples]
    return {
        "student": _share(bool(student_interval(d, 0.95, scale).leaves_out_zero) for d in samples),
        "interval": _share(bool(interval.leaves_out_zero) for interval in intervals),
        "permutation": _share(p <= 0.05 for p in p_values),
        "verdict": _share(
            verdict_on(interval, p, NO_REGION) != "not shown"
            for interval, p in zip(intervals, p_values, strict=True)
        ),
    }


def family_of_equal_arms(comparisons: int, n: int, families: int) -> float:
    """Return how often any of several comparisons of equal arms is called better or worse."""
    rng = generator(0, "families", n)
    called = []
    for _ in range(families):
        sample = draw("normal", (comparisons, n), rng)
        judged = judge({i: Evidence(tuple(d)) for i, d in enumerate(sample.tolist())}, NO_REGION)
        called.append(any(found.is_decided for found in judged.values()))
    return _share(called)


def power(n: int, simulations: int, alpha: float = 0.05) -> dict[str, float]:
    """Return how often gains are shown that n replicates are said to show with a chance of .8.

    Those of the verdict's rule, and those of the paired t test.
    """
    gain, of_student = detectable_gain(SPREAD, n, alpha), detectable_gain(SPREAD, n, alpha, of_t_test=True)
    assert gain is not None and of_student is not None, f"{n} replicates show nothing"
    noise = draw("normal", (simulations, n), generator(0, "power", n))
    return {
        "stated": 0.8,
        "gain": round(gain, 4),
        "verdict": _share(_verdict(d + gain, alpha) == "better" for d in noise),
        "gain_student": round(of_student, 4),
        "student": _share(_is_above(student_interval(d + of_student, 1.0 - alpha)) for d in noise),
    }


def sequential(looks: Looks | None, most: Sequence[int], gain: float, simulations: int) -> dict[str, float]:
    """Return how often a difference is called, and after how many replicates, if one looks at each of ``most``.

    Parameters
    ----------
    looks
        The correction; None looks at 95 % intervals every time.
    most
        Numbers of replicates at which one looks.
    gain
        The true mean difference.
    simulations
        Number of simulated studies.
    """
    samples = draw("normal", (simulations, most[-1]), generator(0, "looks"), gain)
    levels = {n: looks.level(n) if looks else 0.05 for n in most}
    called, used = [], []
    for sample in samples:
        ended = next((n for n in most if _verdict(sample[:n], levels[n]) != "not shown"), None)
        called.append(ended is not None)
        used.append(ended or most[-1])
    return {"called": _share(called), "mean_replicates": float(np.mean(used))}


def crossed_coverage(
    n: int, groups: int, of_groups: float, simulations: int, resamples: int
) -> dict[str, float]:
    """Return how often intervals of a gain in macro-F1 hold what it is over all replicates and all texts.

    A row of class c is labelled rightly where ``μ + u_g + v_r + ε > 0``: u of its group (two rows each), v of the
    replicate, ε of the row, all normal and of each arm alone. So recall is Φ(μ / √(1 + var u + var v)), and from the
    recalls of both classes the macro-F1 follows.

    Parameters
    ----------
    n
        Number of replicates R.
    groups
        Number of groups of test rows; one in five is of the minority.
    of_groups
        Standard deviation of u.
    simulations, resamples
        Number of simulated test sets, and of resamples for each.
    """
    of_replicates, means = 0.15, {"arm": (1.2, 0.5), "vanilla": (1.25, 0.2)}
    rng = generator(0, f"crossed/{of_groups}", n)
    labels = np.repeat((np.arange(groups) % 5 == 0).astype(np.int64), 2)
    names = np.repeat(np.arange(groups), 2)
    spread = math.sqrt(1.0 + of_groups**2 + of_replicates**2)
    truth = _macro_f1(*(ndtr(m / spread) for m in means["arm"])) - _macro_f1(
        *(ndtr(m / spread) for m in means["vanilla"])
    )
    held: dict[str, list[bool]] = {"replicates_only": [], "student": [], "bootstrap_t": []}
    for seed in range(simulations):
        counts = []
        for by_class in means.values():
            latent = np.asarray(by_class)[labels] + rng.normal(size=(n, len(labels)))
            latent += of_groups * rng.normal(size=groups)[names] + of_replicates * rng.normal(size=(n, 1))
            counts.append(macro_f1_counts(np.where(latent > 0, labels, 1 - labels), labels, names, 2))
        arm, vanilla = counts
        intervals = {
            "replicates_only": student_interval((arm.values() - vanilla.values()).tolist()),
            "student": crossed_student_interval(crossed(arm, vanilla)),
            "bootstrap_t": crossed_bootstrap_t_interval(arm, vanilla, resamples=resamples, seed=seed),
        }
        for name, interval in intervals.items():
            held[name].append(_holds(interval, truth))
    return {name: _share(holds) for name, holds in held.items()}


def measure(args: argparse.Namespace) -> int:
    """Print all tables as one JSON object."""
    began, simulations = time.perf_counter(), args.simulations
    blocks, few = (10, 15, 20, 25, 30), max(1, simulations // 10)
    plans: dict[str, Looks | None] = {
        "uncorrected": None,
        "pocock": Looks(blocks),
        "obrien_fleming": Looks(blocks, spending="obrien_fleming"),
    }
    figures: dict[str, Any] = {
        "simulations": simulations,
        "false_positives": _table(false_positives, simulations),
        "any_of_six_equal_arms": family_of_equal_arms(6, 10, few),
        "coverage": _table(coverage, simulations),
        "power": {
            f"{n} replicates, α = {alpha:.4f}": power(n, simulations, alpha)
            for n in (10, 20, 34)
            for alpha in (0.05, 0.05 / 6.0)
        },
        "sequential": {
            name: {
                "equal_arms": sequential(looks, blocks, 0.0, simulations),
                "gain_of_.02": sequential(looks, blocks, 0.02, simulations),
            }
            for name, looks in plans.items()
        },
        "crossed_coverage": {
            f"groups vary by {of_groups:g}, {n} replicates": crossed_coverage(n, 200, of_groups, few, 999)
            for of_groups in (0.0, 0.7)
            for n in (5, 10)
        },
    }
    print(json.dumps({**figures, "seconds": round(time.perf_counter() - began, 1)}))
    return 0


def _table(
    of: Callable[[str, int, int], dict[str, float]], simulations: int
) -> dict[str, dict[str, dict[str, float]]]:
    return {kind: {str(n): of(kind, n, simulations) for n in REPLICATES} for kind in KINDS}


def _verdict(differences: Floats, level: float) -> str:
    interval = gain_interval(differences, 1.0 - level)
    if not interval.leaves_out_zero:  # the test cannot change it, and takes much longer
        return "not shown"
    return verdict_on(interval, paired_permutation_test(differences), replace(NO_REGION, alpha=level))


def _holds(interval: Interval, truth: float) -> bool:
    return (
        interval.ci_low is not None
        and interval.ci_high is not None
        and interval.ci_low <= truth <= interval.ci_high
    )


def _is_above(interval: Interval) -> bool:
    return interval.ci_low is not None and interval.ci_low > 0.0


def _macro_f1(majority_recall: float, minority_recall: float, minority: float = 0.2) -> float:
    right = (1.0 - minority) * majority_recall, minority * minority_recall
    wrong = 1.0 - sum(right)
    return float(np.mean([2.0 * hits / (2.0 * hits + wrong) for hits in right]))


def _share(of: Iterable[bool]) -> float:
    return round(float(np.mean(list(of))), 4)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.statistics", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--simulations", type=int, default=2000, help="simulated studies of each kind (default: %(default)s)"
    )
    return run_command(measure, parser, argv)


if __name__ == "__main__":
    sys.exit(main())
