import json

from study.compare import main
from study.record.ledger import Ledger
from study.verdict.answer import answer
from study.verdict.comparison import build_comparison, load_study
from study.verdict.report import render_report
from study.verdict.unchanged import Unchanged, unchanged_by_operator, unchanged_sentence
from trainables.trial import ReplicateRecord


def add(ledger, trial_id, operator, counts):
    """Add a trial whose replicates made that many augmentations, so many of them unchanged."""
    ledger.start_trial(trial_id, "search", "prefinetune", 0.1, {"operator": operator, "imbalance_ratio": 0.1})
    for index, (made, unchanged) in enumerate(counts):
        diagnostics = {"augmentations_made": float(made), "augmentations_unchanged": float(unchanged)}
        ledger.add_replicate(trial_id, ReplicateRecord(index, {"val/macro_f1": 0.5}, 1.0, diagnostics))
    ledger.finish_trial(trial_id, "complete")


def test_unchanged_augmentations_are_summed_by_operator(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    add(ledger, "a", "eda", [(100, 60), (100, 70)])
    add(ledger, "b", "eda", [(300, 120)])
    add(ledger, "c", "aeda", [(1000, 99)])
    add(ledger, "d", None, [(0, 0)])  # a recipe that only duplicates
    found = unchanged_by_operator(ledger.trials.values())
    assert found == {"aeda": Unchanged(1000, 99), "eda": Unchanged(500, 250)}
    sentence = unchanged_sentence(ledger.trials.values())
    assert "eda 50 % (250 of 500)" in sentence and "aeda" not in sentence.replace(" eda", "")


def test_replicates_of_a_version_that_did_not_count_say_nothing(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.start_trial("a", "search", "prefinetune", 0.1, {"operator": "eda"})
    ledger.add_replicate("a", ReplicateRecord(0, {}, 1.0, {"augmentations_unchanged": 3.0}))
    assert unchanged_by_operator(ledger.trials.values()) == {} and unchanged_sentence([]) == ""


def test_answer_terminal_json_and_report_say_that_an_operator_returned_copies(tmp_path, make_study, capsys):
    make_study("thai")
    facts, ledger = load_study(tmp_path, "thai")
    add(ledger, "copies", "random_swap", [(40, 39)])
    comparison = build_comparison(ledger, facts)
    said = "random_swap 98 % (39 of 40)"
    assert said in answer(comparison).paragraph and said in render_report(comparison)
    assert main(["thai", "--storage", str(tmp_path)]) == 0
    assert said in " ".join(capsys.readouterr().out.split())
    assert main(["thai", "--storage", str(tmp_path), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["augmentations"] == {"random_swap": {"made": 40, "unchanged": 39}}
