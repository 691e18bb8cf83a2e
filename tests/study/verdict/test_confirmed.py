"""The verdicts of a confirmation: from kept scores to words, tables and JSON."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from study.compare import print_table
from study.statistics.judgement import Evidence, Rules, judge
from study.verdict.answer import answer
from study.verdict.comparison import build_comparison, judge_of, load_study
from study.verdict.comparison_json import comparison_json
from study.verdict.evidence import Scores, evidence_of, paired_replicates
from study.verdict.gain_chart import gain_chart
from study.verdict.report import render_report
from study.verdict.verdict_words import advice, half_shown
from tests.study.confirmed_study import STRENGTHS, confirm
from trainables.errors import StudyStopped

ALIKE = dict.fromkeys(STRENGTHS, 1.0)
WORSE = {**STRENGTHS, "prefinetune": 0.2}


@pytest.fixture
def confirmed(tmp_path, make_study):
    """Return a function that makes a confirmed study and compares it."""

    def confirmed(ratios=(0.1,), study=None, **options):
        make_study(ratios=ratios, failed=False, **(study or {}))
        _, ledger = load_study(tmp_path, "adme")
        confirm(ledger, ratios=ratios, **options)
        return build_comparison(ledger, load_study(tmp_path, "adme")[0])

    return confirmed


def test_a_verdict_rests_on_fresh_replicates_and_the_test_split(confirmed):
    comparison = confirmed()
    study = comparison.confirmation
    [found] = study.ratios
    assert study.metric == "test/macro_f1" and found.replicates == 10
    assert [(a.role, a.record.arm) for a in found.arms] == [
        ("vanilla", "vanilla"), ("winner", "prefinetune"), ("paper", "paper"), ("control", "logit_adjustment_posthoc"),
        ("control", "vanilla_matched"), ("control", "tfidf_lr"), ("control", "frozen_lr"),
    ]  # fmt: skip
    winner, vanilla = found.winner.record, found.arms[0].record
    theirs = [rec.metrics["test/macro_f1"] for rec in winner.replicates.values()]
    mine = [rec.metrics["test/macro_f1"] for rec in vanilla.replicates.values()]
    assert found.verdict.interval.mean == pytest.approx(np.mean(theirs) - np.mean(mine))
    assert found.verdict.verdict == "better" and found.verdict.p_adjusted == pytest.approx(2 * 2 / 2**10)
    assert found.winner.gain == found.verdict.interval and found.winner.lead is None
    # An arm that is vanilla on the same luck does not differ from it at all.
    assert found.of_role("paper").judgement.verdict != "better"


@pytest.mark.parametrize(
    "metric", ["test/macro_f1", "test/micro_f1_minority", "test/accuracy", "test_balanced/macro_f1"]
)
def test_counts_of_kept_scores_are_the_metric(tmp_path, confirmed, metric):
    comparison = confirmed(replicates=3)
    [found] = comparison.confirmation.ratios
    vanilla, classes = found.arms[0].record, list(comparison.study["corpus"]["classes"])
    scores = Scores(tmp_path / "adme" / "scores")
    for arm in found.arms[1:5]:
        shared = paired_replicates(arm.record, vanilla)
        evidence = evidence_of(arm.record, vanilla, metric, shared, scores, vanilla, classes)
        assert len(shared) == 3 and evidence.counts is not None
        differences = evidence.counts[0].values() - evidence.counts[1].values()
        np.testing.assert_allclose(differences, evidence.differences, atol=1e-12)
    other = evidence_of(found.winner.record, vanilla, "test/mcc", [6, 7], scores, vanilla, classes)
    assert other.counts is None and isinstance(other, Evidence)


def test_the_headline_says_what_was_shown(confirmed):
    found = answer(comparison := confirmed())
    assert found.headline.startswith(
        "On the test split, pre-finetuning beats tuned vanilla in macro F1 at imbalance ratio 0.1 (1:10), by +0."
    )
    assert found.headline.endswith("and every control too.")
    for words in (
        "corrected p = 0.0039",
        "The paper's recipe: ",
        "The best control, ",
        "2 verdicts are corrected for",
    ):
        assert words in found.paragraph
    act, expect, more = advice(comparison.confirmation.ratios[0], comparison.confirmation)
    assert act.startswith("Pre-finetune:") and "Expect a difference of +0." in expect and "narrow" in more


def test_a_control_that_is_as_good_is_named(confirmed):
    headline = answer(confirmed(strengths={**STRENGTHS, "tfidf_lr": 2.2})).headline
    assert "beats tuned vanilla" in headline and headline.endswith(
        "but it is not shown to beat TF-IDF with logistic regression."
    )


def test_a_vanilla_behind_its_own_frozen_encoder_has_hardly_learned(confirmed):
    assert "hardly learned" not in answer(confirmed()).paragraph


def test_a_gain_over_a_vanilla_that_hardly_learned_is_told_to_say_little(confirmed):
    found = answer(confirmed(strengths={**STRENGTHS, "vanilla": 0.2, "frozen_lr": 2.2})).paragraph
    assert "Vanilla has hardly learned: " in found and "own encoder, frozen, by 0." in found
    assert "A gain over such a vanilla says little." in found


def test_nothing_is_to_be_decided_by_a_vanilla_that_hardly_learned(confirmed):
    low = dict.fromkeys(STRENGTHS, 0.2)
    comparison = confirmed(strengths={**low, "frozen_lr": 2.2})
    assert comparison.confirmation.ratios[0].verdict.verdict in ("equivalent", "not shown")
    act = advice(comparison.confirmation.ratios[0], comparison.confirmation)[0]
    assert act.startswith("Decide nothing by this: vanilla has hardly learned.")
    assert "frozen encoder with logistic regression is ahead of vanilla" in act


def test_harm_is_told(confirmed):
    comparison = confirmed(strengths=WORSE)
    assert "pre-finetuning is worse than tuned vanilla" in answer(comparison).headline
    assert advice(comparison.confirmation.ratios[0], comparison.confirmation)[0].startswith(
        "Do not pre-finetune"
    )


def test_arms_that_are_alike_are_practically_the_same_and_few_replicates_show_nothing(confirmed):
    comparison = confirmed(strengths=ALIKE)
    assert comparison.confirmation.ratios[0].verdict.verdict == "equivalent"
    assert "are practically the same in macro F1" in answer(comparison).headline


@pytest.mark.parametrize(
    ("gains", "p_adjusted", "said"),
    [
        (
            (0.02, 0.04, 0.05, 0.03, 0.04, 0.03),
            0.06,
            "The interval leaves out zero, but the corrected permutation test does not",
        ),
        (
            (0.02, -0.04, 0.05, 0.03, -0.04, 0.01),
            0.03,
            "The permutation test finds a difference, but the interval includes zero",
        ),
        ((0.02, -0.04, 0.05, 0.03, -0.04, 0.01), 0.4, ""),
    ],
)
def test_where_the_interval_and_the_test_disagree_that_is_told(gains, p_adjusted, said):
    judged = replace(judge({0.1: Evidence(gains)})[0.1], p_adjusted=p_adjusted)
    sentence = half_shown(judged, Rules().alpha)
    assert sentence == (f" {sentence.strip()}" if said else "") and said in sentence
    assert half_shown(replace(judged, p_adjusted=None), Rules().alpha) == ""


@pytest.mark.parametrize("replicates", [1, 2, 5])
def test_so_few_replicates_show_nothing_however_large_the_gain(confirmed, replicates):
    comparison = confirmed(replicates=replicates)
    found = answer(comparison)
    assert comparison.confirmation.ratios[0].verdict.verdict == "not shown"
    assert "no difference between pre-finetuning and tuned vanilla is shown" in found.headline
    assert ("but the corrected permutation test does not agree" in found.paragraph) == (replicates > 1)
    assert "So few replicates can show nothing." in found.paragraph
    json.dumps(comparison_json(comparison), allow_nan=False)


def test_several_ratios_are_told_together_and_corrected_together(confirmed, capsys):
    comparison = confirmed(ratios=(0.1, "natural"))
    found = answer(comparison)
    assert "beats tuned vanilla at every imbalance ratio in macro F1" in found.headline
    assert "4 verdicts are corrected for each other (Holm)." in found.paragraph
    assert all(f.verdict.p_adjusted > f.verdict.p_value for f in comparison.confirmation.ratios)
    lines = gain_chart(comparison.confirmation)
    assert [line.split()[0] for line in lines] == ["0.1", "natural"]
    assert all("●" in line and "│" in line and line.endswith("better") for line in lines)
    print_table(comparison)
    text = capsys.readouterr().out
    assert "confirmed on the test split" in text and text.rstrip().splitlines()[-1].startswith(
        "Verdict: On the test"
    )


def test_standings_that_differ_are_each_named(tmp_path, make_study):
    ledger = make_study(ratios=(0.1, 0.5, "natural"), failed=False)
    for ratio, strengths in ((0.1, STRENGTHS), (0.5, WORSE), ("natural", ALIKE)):
        confirm(ledger, ratios=(ratio,), strengths=strengths)
    facts, ledger = load_study(tmp_path, "adme")
    headline = answer(build_comparison(ledger, facts)).headline
    assert headline == (
        "On the test split, pre-finetuning beats tuned vanilla at imbalance ratio 0.1 (1:10), is worse than it at "
        "imbalance ratio 0.5 (1:2), and is practically the same as it at the natural imbalance ratio in macro F1."
    )


def test_json_holds_what_was_announced(confirmed):
    comparison = confirmed(looks=(10, 15))
    values = json.loads(json.dumps(comparison_json(comparison), allow_nan=False))["confirmation"]
    assert [entry["role"] for entry in values[:3]] == ["vanilla", "winner", "paper"]
    winner = values[1]
    assert {
        "arm",
        "imbalance_ratio",
        "replicates",
        "metrics",
        "gain",
        "verdict",
        "replicates_needed",
    } <= winner.keys()
    assert {"metric", "mean", "ci_low", "ci_high", "p_value", "p_value_holm"} <= winner["gain"].keys()
    assert winner["verdict"] in ("better", "worse", "equivalent", "not shown")
    assert set(winner["probability"]) == {"better", "equivalent", "worse"}
    assert math.isclose(sum(winner["probability"].values()), 1.0, abs_tol=1e-6)
    assert winner["detectable_gain"] > 0 and winner["looks"] == {"look": 1, "of": 2}
    assert {"test/macro_f1", "test_balanced/macro_f1", "val/macro_f1"} <= winner["metrics"].keys()
    assert values[3]["verdict"] is None and values[3]["gain"]["p_value"] is None
    assert (
        winner["winner_minus_this"] is None
        and values[0]["winner_minus_this"]["mean"] == winner["gain"]["mean"]
    )


def test_a_ratio_keeps_the_verdict_of_the_look_that_decided_it(tmp_path, make_study):
    """Its verdict and number of replicates are those of that look, though later lines are there."""
    ledger = make_study(ratios=(0.1,), failed=False)
    confirm(ledger, replicates=15, looks=(10, 15))
    facts, ledger = load_study(tmp_path, "adme")
    judge = judge_of(ledger, facts, "val/macro_f1")
    assert judge.decided({0.1: 10}) in ({0.1}, frozenset())
    found = judge.result((0.1,)).ratios[0]
    assert found.replicates == (10 if judge.decided({0.1: 10}) else 15)
    assert found.verdict.interval.n == found.replicates and found.verdict.looks == 2


def test_before_the_first_look_there_is_no_verdict(tmp_path, make_study):
    ledger = make_study(ratios=(0.1,), failed=False)
    confirm(ledger, replicates=4, looks=(10,))
    facts, ledger = load_study(tmp_path, "adme")
    comparison = build_comparison(ledger, facts)
    assert comparison.confirmation is None
    assert "This is not a verdict" in (text := answer(comparison).paragraph) and "under way" in text


def test_an_arm_that_lacks_replicates_is_compared_on_those_it_has(confirmed):
    comparison = confirmed(only={"tfidf_lr": 4})
    found = comparison.confirmation.ratios[0]
    by_arm = {arm.record.arm: arm for arm in found.arms}
    assert by_arm["tfidf_lr"].gain.n == by_arm["tfidf_lr"].lead.n == 4 and found.verdict.interval.n == 10


def test_an_arm_that_failed_stands_with_its_cause(confirmed, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    confirmed(only={"tfidf_lr": 4})
    ledger = load_study(tmp_path, "adme")[1]
    ledger.finish_trial("confirmation-tfidf_lr-0.1", "failed", "MemoryError: 3 GB")
    comparison = build_comparison(*reversed(load_study(tmp_path, "adme")))
    [entry] = [e for e in comparison_json(comparison)["confirmation"] if e["arm"] == "tfidf_lr"]
    assert (entry["state"], entry["reason"]) == ("failed", "MemoryError: 3 GB")
    print_table(comparison)
    assert "failed: MemoryError: 3 GB" in " ".join(capsys.readouterr().out.split())
    assert (
        "MemoryError: 3 GB"
        in render_report(comparison).partition("The verdict")[2].partition("</section>")[0]
    )


def test_where_nothing_is_confirmed_the_cause_is_told(confirmed, tmp_path):
    confirmed(ratios=(0.1, "natural"))
    ledger = load_study(tmp_path, "adme")[1]
    ledger.start_trial("late", "confirmation", "vanilla", 0.5, {"arm": "vanilla", "imbalance_ratio": 0.5})
    ledger.finish_trial("late", "failed", "OSError: the disk is full.")
    facts = {**load_study(tmp_path, "adme")[0], "ratios": [0.1, 0.5, "natural"]}
    told = answer(build_comparison(ledger, facts)).paragraph
    assert (
        "Nothing is confirmed at imbalance ratio 0.5 (1:2): vanilla, or what was chosen, failed there "
        in told
    )
    assert "imbalance ratio 0.5 (1:2): OSError: the disk is full)." in told


def test_missing_scores_are_an_error_and_not_another_interval(confirmed, tmp_path):
    confirmed()
    next((tmp_path / "adme" / "scores").glob("confirmation-prefinetune*")).unlink()
    facts, ledger = load_study(tmp_path, "adme")
    with pytest.raises(StudyStopped, match="put the file back, or start over"):
        build_comparison(ledger, facts)


def test_another_metric_has_its_own_verdict(confirmed, tmp_path):
    confirmed()
    facts, ledger = load_study(tmp_path, "adme")
    comparison = build_comparison(ledger, facts, "val/nll")
    [found] = comparison.confirmation.ratios
    assert comparison.confirmation.metric == "test/nll" and found.verdict.interval.mean < 0
    assert found.verdict.verdict == "better" and "and every control too" in answer(comparison).headline
    assert "not other test texts" in answer(comparison).paragraph


def test_what_was_searched_after_the_confirmation_began_is_told(confirmed, tmp_path):
    assert "after the confirmation began" not in answer(confirmed()).paragraph
    facts, ledger = load_study(tmp_path, "adme")
    for name in ("one", "two"):
        ledger.start_trial(name, "search", "prefinetune", 0.1, {"strength": 0.3})
        ledger.finish_trial(name, "complete")
    paragraph = answer(build_comparison(ledger, facts)).paragraph
    assert "2 configurations were tried after the confirmation began" in paragraph
