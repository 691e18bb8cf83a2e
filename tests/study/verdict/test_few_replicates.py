"""What a comparison says where the replicates are too few for an interval within what the metric can be."""

from __future__ import annotations

import json

from study.verdict.answer import answer
from study.verdict.comparison import build_comparison, load_study
from study.verdict.comparison_json import comparison_json
from study.verdict.operating_point import operating_point_sentence
from study.verdict.statistics import mean_gain, metric_mean, paired_gain
from trainables.interval import mean_interval

HALF_APART = (
    {0: 0.9, 1: 0.7},
    {0: 0.4, 1: 0.6},
)  # differences .5 and .1: Student's interval is [-2.24, 2.84]


def test_two_replicates_of_a_bounded_metric_have_no_interval_beyond_it():
    assert mean_interval([0.5, 0.1]).ci_high > 2
    gain = paired_gain(*HALF_APART, "val/macro_f1")
    assert gain.ci_low is None and gain.ci_high is None and gain.n == 2
    assert gain.leaves_out_zero is None
    assert metric_mean([0.9, 0.7, 0.95], "val/recall/other").ci_high == 1.0


def test_close_replicates_keep_the_interval_that_they_had():
    assert mean_gain([0.02, 0.03], "val/macro_f1") == mean_interval([0.02, 0.03])
    assert metric_mean([0.5, 0.52, 0.51], "val/macro_f1") == mean_interval([0.5, 0.52, 0.51])


def test_nothing_changes_for_metrics_without_bounds_and_from_five_replicates_on():
    assert paired_gain(*HALF_APART, "val/nll") == paired_gain(*HALF_APART)
    assert paired_gain(*HALF_APART).ci_high > 2
    five = [0.2, 1.0, 1.0, 1.0, 1.0]
    assert metric_mean(five, "val/recall/other") == mean_interval(five)


def test_the_answer_says_how_few_they_are(tmp_path, make_study):
    ledger = make_study(ratios=(0.1,), trials=1, replicates=2, failed=False)
    lines = [json.loads(line) for line in ledger.path.read_text().splitlines()]
    for event in lines:
        if event["event"] == "replicate":
            spread = 0.5 if event["trial_id"].startswith("reference-vanilla") else 0.0
            value = 0.7 - spread * event["replicate"]
            event["metrics"] |= {"val/macro_f1": value, "val_offsets/macro_f1": value}
    ledger.path.write_text(
        "".join(json.dumps({k: v for k, v in event.items() if k != "crc32"}) + "\n" for event in lines)
    )
    facts, ledger = load_study(tmp_path, "adme")
    comparison = build_comparison(ledger, facts)
    found = answer(comparison)
    assert found.headline == (
        "At most 2 replicates: there are differences, but no way to tell them from chance."
    )
    assert "(n=2, no interval)" in found.paragraph
    assert "(2 replicates tell nothing)" in operating_point_sentence(comparison)
    (trial,) = comparison_json(comparison)["trials"]
    assert trial["gain"]["ci_low"] is None and trial["gain"]["mean"] is not None
