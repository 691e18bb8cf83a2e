"""Whether a gain survives class offsets for both arms, as the answer, the table and the report tell it."""

from __future__ import annotations

import json

import pytest

from study.compare import main
from study.verdict.answer import answer
from study.verdict.comparison import build_comparison, load_study
from study.verdict.operating_point import operating_point_sentence, with_fitted_offsets
from study.verdict.report import render_report

OFFSETS = "val_offsets/macro_f1"


def score_with_offsets(ledger, kept, noise=0.0, replicates=None):
    """Write metrics with offsets into a ledger: vanilla gains .1 by them, and of every arm's gain a share remains."""
    lines = [json.loads(line) for line in ledger.path.read_text().splitlines()]
    ratio = {e["trial_id"]: str(e["imbalance_ratio"]) for e in lines if e["event"] == "trial_started"}
    scores = {
        (ratio[e["trial_id"]], e["replicate"]): e["metrics"]["val/macro_f1"]
        for e in lines
        if e["event"] == "replicate" and e["trial_id"].startswith("reference-vanilla")
    }
    for event in lines:
        if event["event"] != "replicate" or (replicates is not None and event["replicate"] not in replicates):
            continue
        vanilla = scores[ratio[event["trial_id"]], event["replicate"]]
        gain = event["metrics"]["val/macro_f1"] - vanilla
        wobble = noise * (-1) ** event["replicate"] * (gain != 0)
        event["metrics"] |= {OFFSETS: vanilla + 0.1 + kept * gain + wobble, "val_offsets/f1/other": 0.5}
    ledger.path.write_text(
        "".join(json.dumps({k: v for k, v in event.items() if k != "crc32"}) + "\n" for event in lines)
    )


def comparison_of(tmp_path, metric=None):
    facts, ledger = load_study(tmp_path, "adme")
    return build_comparison(ledger, facts, metric)


def reading_of(comparison, ratio=0.1):
    leading, vanilla = comparison.best[ratio], comparison.baseline(ratio, "vanilla")
    return with_fitted_offsets(leading, vanilla, comparison.metric).reading


@pytest.mark.parametrize(
    ("effect", "kept", "noise", "reading", "said"),
    [
        (0.3, 0.8, 0.0, "survives", "the gain survives"),
        (0.3, 0.0, 0.01, "operating point", "the gain is one of operating point"),
        (0.3, 0.8, 0.5, "no longer shown", "whether it is one of operating point needs more replicates"),
        (0.0, 0.0, 0.2, "no gain", "no gain is shown so either"),
    ],
)
def test_what_becomes_of_a_gain(tmp_path, make_study, effect, kept, noise, reading, said):
    score_with_offsets(make_study(ratios=(0.1,), trials=1, effect=effect, noise=0.005), kept, noise)
    comparison = comparison_of(tmp_path)
    assert reading_of(comparison) == reading
    sentence = operating_point_sentence(comparison)
    assert sentence.startswith(
        "The leading trial minus vanilla where both have class offsets fitted on validation"
    )
    assert said in sentence and "at imbalance ratio 0.1 (1:10)" in sentence
    assert sentence in answer(comparison).paragraph


def test_a_gain_that_the_operating_point_hid_is_told(tmp_path, make_study):
    score_with_offsets(make_study(ratios=(0.1,), trials=1, effect=-0.2, noise=0.005), -1.0)
    assert reading_of(comparison_of(tmp_path)) == "revealed"


def test_every_ratio_is_told_and_only_replicates_that_have_both(tmp_path, make_study):
    score_with_offsets(make_study(effect=0.3, noise=0.005), 0.8, replicates=(0, 2, 3))
    comparison = comparison_of(tmp_path)
    sentence = operating_point_sentence(comparison)
    assert sentence.count("the gain survives") == 2
    leading, vanilla = comparison.best["natural"], comparison.baseline("natural", "vanilla")
    found = with_fitted_offsets(leading, vanilla, comparison.metric)
    assert found.plain.n == found.gain.n == found.lost.n == 3
    assert found.lost.mean == pytest.approx(found.plain.mean - found.gain.mean)


def test_one_replicate_tells_nothing(tmp_path, make_study):
    score_with_offsets(make_study(ratios=(0.1,), replicates=1, effect=0.3), 0.8)
    assert "n=1, no interval) at imbalance ratio 0.1 (1:10) (one replicate tells nothing)" in (
        operating_point_sentence(comparison_of(tmp_path))
    )


def test_a_ledger_of_an_earlier_version_is_shown_without_it(tmp_path, make_study):
    make_study(effect=0.3)
    comparison = comparison_of(tmp_path)
    assert operating_point_sentence(comparison) == ""
    assert "offsets" not in answer(comparison).paragraph + render_report(comparison)


@pytest.mark.parametrize("metric", [OFFSETS, "val/minority_auprc", "val/nll"])
def test_a_metric_that_offsets_do_not_change_or_that_has_them_already_gets_no_sentence(
    tmp_path, make_study, metric
):
    score_with_offsets(make_study(effect=0.3), 0.8)
    assert operating_point_sentence(comparison_of(tmp_path, metric)) == ""


def test_arms_can_be_compared_at_their_best_operating_points(tmp_path, make_study, capsys):
    score_with_offsets(make_study(ratios=(0.1,), effect=0.3, noise=0.005), 0.5)
    assert main(["adme", "--storage", str(tmp_path), "--metric", OFFSETS, "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    best = values["trials"][0]
    assert best["gain"]["metric"] == OFFSETS
    plain, offset = (best["metrics"][name]["mean"] for name in ("val/macro_f1", OFFSETS))
    vanilla = next(b for b in values["baselines"] if b["arm"] == "vanilla")["metrics"]
    assert best["gain"]["mean"] == pytest.approx(offset - vanilla[OFFSETS]["mean"])
    assert best["gain"]["mean"] == pytest.approx(0.5 * (plain - vanilla["val/macro_f1"]["mean"]))
    assert main(["adme", "--storage", str(tmp_path), "--metric", OFFSETS]) == 0
    assert (
        "On validation, the leading pre-finetuning trial is ahead of tuned vanilla in macro F1 with class offsets"
        in (" ".join(capsys.readouterr().out.split()))
    )
    page = render_report(comparison_of(tmp_path))
    assert '<th scope="col">macro F1 with class offsets</th>' in page
    assert "every arm is also scored with class offsets fitted on validation" in page
