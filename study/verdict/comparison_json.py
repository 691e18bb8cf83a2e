"""The comparison as plain JSON values, for programs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from study.record.ledger import stored_config
from study.verdict.comparison import CORPUS_FACTS, Comparison, Result, without_passwords
from study.verdict.confirmed import ConfirmedArm, ConfirmedRatio
from study.verdict.front import front_of
from study.verdict.unchanged import unchanged_by_operator
from trainables.interval import Interval


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as plain JSON values; undefined numbers are null."""
    corpus = comparison.study["corpus"]
    front = {trial_id for ratio in comparison.ratios for trial_id in front_of(comparison, ratio)}
    return {
        "study": comparison.study["study"],
        "corpus": {key: corpus[key] for key in CORPUS_FACTS},
        "remarks": comparison.study["remarks"],
        "tokens": comparison.study["tokens"],
        "encoder": comparison.study["encoder"],
        "baselines": [_baseline_json(comparison, result) for result in comparison.baselines],
        "trials": [
            _trial_json(comparison, result, front)
            for result in (*comparison.trials, *comparison.control_trials)
        ],
        "augmentations": {
            operator: {"made": found.made, "unchanged": found.unchanged}
            for operator, found in unchanged_by_operator(r.record for r in comparison.everything).items()
        },
        "confirmation": confirmation_json(comparison),
        "time": comparison.time.to_json(),
        "report": str(comparison.report),
        "mlflow": {key: comparison.study["mlflow"][key] for key in ("tracking_uri", "experiment")},
    }


def _baseline_json(comparison: Comparison, result: Result) -> dict[str, Any]:
    record = result.record
    leading = comparison.best.get(record.imbalance_ratio)
    return {
        "trial_id": record.trial_id,
        "arm": record.arm,
        "imbalance_ratio": record.imbalance_ratio,
        "tuned": result.budget.is_tuned,
        "settings_from": result.budget.settings_from,
        "budget": result.budget.to_json(),
        "config": stored_config(record.config, record.matched_to),
        "matched_to": record.matched_to,
        "state": record.state,
        "reason": without_passwords(record.error),
        "replicates": result.replicates,
        "metrics": _metrics_json(result),
        "gain": {"metric": comparison.metric, **_interval_json(result.gain)},
        "best_trial_minus_this": {
            "trial_id": leading.record.trial_id if leading else None,
            "metric": comparison.metric,
            **_interval_json(comparison.lead_over(result)),
            "budget": leading.budget.to_json() if leading else None,
        },
        "seconds": record.seconds,
    }


def confirmation_json(comparison: Comparison) -> list[dict[str, Any]]:
    """Return every confirmed arm as plain JSON values; nothing where there is no confirmation."""
    ratios = comparison.confirmation.ratios if comparison.confirmation else ()
    return [_confirmed_json(comparison, ratio, arm) for ratio in ratios for arm in ratio.arms]


def _confirmed_json(comparison: Comparison, ratio: ConfirmedRatio, arm: ConfirmedArm) -> dict[str, Any]:
    assert comparison.confirmation is not None
    result = comparison.fresh_result(arm.record)
    judged = arm.judgement.to_json() if arm.judgement else {}
    return {
        "trial_id": arm.record.trial_id,
        "arm": arm.record.arm,
        "role": arm.role,
        "imbalance_ratio": ratio.ratio,
        "config": stored_config(arm.record.config, arm.record.matched_to),
        "budget": result.budget.to_json(),
        "state": arm.record.state,
        "reason": without_passwords(arm.record.error),
        "replicates": result.replicates,
        "metrics": _metrics_json(result),
        "gain": {
            "metric": comparison.confirmation.metric,
            **_interval_json(arm.gain),
            "confidence": judged.get("confidence", ratio.verdict.confidence),
            "p_value": judged.get("p_value"),
            "p_value_holm": judged.get("p_adjusted"),
            "effect_size": judged.get("effect_size"),
        },
        "winner_minus_this": _interval_json(arm.lead) if arm.lead else None,
        "verdict": judged.get("verdict"),
        "probability": judged.get("probability"),
        "detectable_gain": judged.get("detectable_gain"),
        "replicates_needed": judged.get("replicates_needed"),
        "looks": judged.get("looks"),
        "seconds": arm.record.seconds,
    }


def _trial_json(comparison: Comparison, result: Result, front: Collection[str]) -> dict[str, Any]:
    record = result.record
    return {
        "trial_id": record.trial_id,
        "arm": record.arm,
        "imbalance_ratio": record.imbalance_ratio,
        "config": record.config,
        "state": record.state,
        "reason": without_passwords(record.error),
        "replicates": result.replicates,
        "metrics": _metrics_json(result),
        "gain": {"metric": comparison.metric, **_interval_json(result.gain)},
        "seconds": record.seconds,
        "training_seconds": record.training_seconds,
        "on_pareto_front": record.trial_id in front,
    }


def _metrics_json(result: Result) -> dict[str, Any]:
    return {
        name: {key: value for key, value in _interval_json(interval).items() if key != "replicates"}
        for name, interval in result.metrics.items()
    }


def _interval_json(interval: Interval) -> dict[str, float | int | None]:
    return {
        "mean": interval.mean if interval.is_defined else None,
        "ci_low": interval.ci_low,
        "ci_high": interval.ci_high,
        "replicates": interval.n,
    }
