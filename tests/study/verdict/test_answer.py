from dataclasses import replace

import pytest

from study.verdict.answer import CAVEAT, answer
from study.verdict.comparison import build_comparison, load_study
from study.verdict.statistics import reading
from study.verdict.verdict_words import Behind, hardly_learned
from study.verdict.words import ratio_name
from trainables.interval import Interval


def answer_of(tmp_path, **options):
    facts, ledger = load_study(tmp_path, "adme")
    return answer(build_comparison(ledger, facts, **options))


@pytest.mark.parametrize(
    ("interval", "metric", "expected"),
    [
        (Interval(0.2, 0.1, 0.3, 5), "val/macro_f1", "better"),
        (Interval(-0.2, -0.3, -0.1, 5), "val/macro_f1", "worse"),
        (Interval(-0.2, -0.3, -0.1, 5), "val/nll", "better"),
        (Interval(0.2, -0.1, 0.5, 5), "val/macro_f1", "no difference shown"),
        (Interval(0.0, 0.0, 0.0, 5), "val/macro_f1", "no difference shown"),
        (Interval(0.2, None, None, 1), "val/macro_f1", "no interval"),
        (Interval(float("nan"), None, None, 0), "val/macro_f1", "nothing to compare"),
    ],
)
def test_reading_claims_no_more_than_the_interval(interval, metric, expected):
    assert reading(interval, metric) == expected


def test_a_clear_gain_is_told_with_its_controls_and_the_caveat(tmp_path, make_study):
    make_study(effect=0.3, noise=0.005)
    found = answer_of(tmp_path)
    assert (
        "is ahead of tuned vanilla in macro F1 at 2 of 2 imbalance ratios, and every control at 2"
        in found.headline
    )
    assert found.paragraph.endswith(CAVEAT)
    assert "has not been run" in CAVEAT


def test_a_gain_that_a_control_shares_is_qualified(tmp_path, make_study):
    ledger = make_study(ratios=(0.1,), effect=0.3, noise=0.005)
    best = max(ledger.of_phase("search"), key=lambda t: len(t.replicates))
    ledger.start_trial("rival", "control", "rival_arm", 0.1, {})
    for record in best.replicates.values():
        ledger.add_replicate("rival", record)
    ledger.finish_trial("rival", "complete")
    assert answer_of(tmp_path).headline.endswith("but not every control.")


@pytest.mark.parametrize("ahead", [0.2, 0.0])
def test_without_a_confirmation_too_a_vanilla_behind_its_frozen_encoder_has_hardly_learned(
    tmp_path, make_study, ahead
):
    ledger = make_study(ratios=(0.1,), effect=0.3, noise=0.005)
    vanilla = next(t for t in ledger.trials.values() if t.arm == "vanilla" and len(t.replicates) > 2)
    ledger.start_trial("frozen", "control", "frozen_lr", 0.1, {})
    for record in vanilla.replicates.values():
        scored = {name: value + ahead for name, value in record.metrics.items()}
        ledger.add_replicate("frozen", replace(record, metrics=scored))
    ledger.finish_trial("frozen", "complete")
    assert ("Vanilla has hardly learned" in answer_of(tmp_path).paragraph) == bool(ahead)


def test_that_vanilla_hardly_learned_at_several_ratios_is_told_in_one_sentence(make_study):
    vanilla = next(t for t in make_study(ratios=(0.1,)).trials.values() if t.arm == "vanilla")
    gains = [Interval(mean, mean - 0.01, mean + 0.01, 5) for mean in (0.2, 0.1)]
    behind = [Behind(vanilla, gain, where) for gain, where in zip(gains, ("here", "there"), strict=True)]
    found = hardly_learned(
        [None, *behind, Behind(vanilla, Interval(0.1, -0.1, 0.3, 5), "nowhere")], "val/macro_f1"
    )
    assert found.count("stays behind") == found.count("says little") == 1
    assert ": here it stays behind " in found and "by 0.200" in found and "; there by 0.100" in found
    assert "nowhere" not in found


def test_no_effect_is_no_difference_shown(tmp_path, make_study):
    make_study(ratios=(0.1,), trials=1, effect=0.0, noise=0.1)
    assert "no difference between pre-finetuning and tuned vanilla is shown" in answer_of(tmp_path).headline


def test_harm_is_told(tmp_path, make_study):
    make_study(ratios=(0.1,), trials=1, effect=-0.3, noise=0.005)
    assert "worse" in answer_of(tmp_path).headline


def test_one_replicate_is_no_evidence(tmp_path, make_study):
    make_study(replicates=1, effect=0.5)
    found = answer_of(tmp_path)
    assert "One replicate only" in found.headline
    assert "no interval" in found.paragraph
    assert {f.reading for f in found.findings} == {"no interval"}


def test_vanilla_is_called_tuned_only_where_it_was(tmp_path, make_study):
    ledger = make_study(ratios=(0.1,), effect=0.3)
    kept = [line for line in ledger.path.read_text().splitlines(True) if "reference_tuning" not in line]
    ledger.path.write_text("".join(kept))
    assert "not tuned" in answer_of(tmp_path).headline


def fail_search(make_study, *failing):
    """Write a study of two ratios in which pre-finetuning's trials failed at some of them."""
    ledger = make_study(trials=0, failed=False)
    for ratio in (0.1, "natural"):
        for number in range(2):
            ledger.start_trial(f"t{number}-{ratio}", "search", "prefinetune", ratio, {"strength": number})
            if ratio in failing:
                ledger.finish_trial(f"t{number}-{ratio}", "failed", f"ValueError: cause {number} at {ratio}.")
            else:
                for record in ledger.reference(ratio).replicates.values():
                    ledger.add_replicate(f"t{number}-{ratio}", record)
                ledger.finish_trial(f"t{number}-{ratio}", "complete")
    return ledger


def test_a_search_in_which_every_trial_failed_is_no_progress(tmp_path, make_study):
    fail_search(make_study, 0.1, "natural")
    found = answer_of(tmp_path)
    assert found.headline == "There is no answer: every pre-finetuning trial failed."
    for ratio in (0.1, "natural"):
        assert f"ValueError: cause 1 at {ratio}. " in found.paragraph
    assert "All 2 trials at imbalance ratio 0.1 (1:10) failed, the last one with" in found.paragraph
    assert "yet" not in found.headline + found.paragraph


def test_a_ratio_at_which_every_trial_failed_is_told_beside_the_others(tmp_path, make_study):
    fail_search(make_study, 0.1)
    found = answer_of(tmp_path)
    assert "no difference" in found.headline
    assert "All 2 trials at imbalance ratio 0.1 (1:10) failed" in found.paragraph
    assert "natural imbalance ratio failed" not in found.paragraph and CAVEAT in found.paragraph


def test_a_reference_that_failed_is_told_with_its_cause(tmp_path, make_study):
    ledger = make_study(ratios=(0.1,), trials=2, reference=False, failed=False)
    ledger.start_trial("v", "reference", "vanilla", 0.1, {"arm": "vanilla"})
    ledger.finish_trial("v", "failed", "OSError: no room")
    found = answer_of(tmp_path)
    assert "The reference vanilla at imbalance ratio 0.1 (1:10) failed: OSError: no room." in found.paragraph


@pytest.mark.parametrize("reference", [True, False])
def test_before_the_first_trial_there_is_no_answer(tmp_path, make_study, reference):
    make_study(trials=0, reference=reference)
    found = answer_of(tmp_path)
    assert "No pre-finetuning trial" in found.headline
    assert CAVEAT not in found.paragraph


def test_a_mean_is_never_shown_without_its_uncertainty():
    assert Interval(0.5, 0.4, 0.6, 3).text() == "0.500 [0.400, 0.600]"
    assert "n=1, no interval" in Interval(0.5, None, None, 1).text()
    assert Interval(float("nan"), None, None, 2).text() == "undefined"
    assert Interval(-0.0001, -0.1, 0.1, 2).text(signed=True) == "+0.000 [−0.100, +0.100]"


def test_ratios_are_named_for_people():
    assert [ratio_name(r) for r in (0.01, 0.3, 1, "natural")] == [
        "0.01 (1:100)",
        "0.3 (1:3.33)",
        "1",
        "natural",
    ]
