import json

import pytest

from study.compare import main


def run(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "260")
    monkeypatch.delenv("STUDY_STORAGE", raising=False)


def test_table_shows_intervals_states_and_the_report(tmp_path, make_study, capsys):
    make_study()
    assert run("adme", "--storage", tmp_path) == 0
    out = capsys.readouterr().out
    for expected in ("post-hoc logit adjustment", "the reference", "raced out", "failed", "running", "leading",
                     "operator=aeda", "not a verdict", str(tmp_path / "adme" / "report.html")):  # fmt: skip
        assert expected in out
    assert (tmp_path / "adme" / "report.html").is_file()


def test_leads_on_the_replicates_of_the_choice_are_said_to_flatter(tmp_path, make_study, capsys):
    make_study(ratios=(0.1,))
    assert run("adme", "--storage", tmp_path) == 0
    said = "flatter it over every arm here: only a confirmation (--confirm) compares them on fresh ones."
    assert said in " ".join(capsys.readouterr().out.split())
    assert said in (tmp_path / "adme" / "report.html").read_text(encoding="utf-8")
    make_study("unsearched", ratios=(0.1,), trials=0)
    assert run("unsearched", "--storage", tmp_path) == 0
    assert said not in " ".join(capsys.readouterr().out.split())


def test_what_failed_stands_with_the_first_line_of_its_cause_cut_to_fit(
    tmp_path, make_study, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "900")
    ledger = make_study(ratios=(0.1,), trials=2, failed=False)
    ledger.start_trial("m", "control", "focal", 0.1, {})
    ledger.finish_trial(
        "m", "failed", f"OSError: no room [/x] {'y' * 300}\nsecond line (traceback: /t/error.txt)"
    )
    assert run("adme", "--storage", tmp_path) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "failed: OSError: no room [/x] yyy" in out and "y…" in out
    assert "y" * 161 not in out and "second line" not in out


@pytest.mark.parametrize("columns", ["40", "60", "80", "100", "140"])
def test_a_narrow_terminal_shows_every_name_and_figure(tmp_path, make_study, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    make_study(ratios=(0.1,), trials=3)
    assert run("adme", "--storage", tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) <= int(columns)  # the last one is the report's path
    out = " ".join(" ".join(lines).split())
    for name in (
        "post-hoc logit",
        "compute-matched",
        "search-prefinetune-failed",
        "operator=aeda",
        "raced out",
    ):
        assert name in out
    assert "…" not in out and out.count("strength=0.9") == 1


def test_json_alone_on_standard_output(tmp_path, make_study, capsys):
    make_study()
    assert run("adme", "--storage", tmp_path, "--format", "json") == 0
    captured = capsys.readouterr()
    values = json.loads(captured.out)
    assert values["report"] == str(tmp_path / "adme" / "report.html")
    assert values["report"] in captured.err


def test_top_cuts_each_ratio_and_not_the_report(tmp_path, make_study, capsys):
    make_study(trials=6, failed=False)
    assert run("adme", "--storage", tmp_path, "--format", "json", "--top", 2) == 0
    trials = json.loads(capsys.readouterr().out)["trials"]
    assert [t["imbalance_ratio"] for t in trials] == [0.1, 0.1, "natural", "natural"]
    assert run("adme", "--storage", tmp_path, "--top", 2) == 0
    assert capsys.readouterr().out.count("4 more in the report") == 2
    report = (tmp_path / "adme" / "report.html").read_text(encoding="utf-8")
    assert all(f"<code>search-prefinetune-0.1-{i:04x}</code>" in report for i in range(6))


def test_tuned_and_untuned_controls_are_told_apart(tmp_path, make_study, capsys):
    ledger = make_study(ratios=(0.1,), trials=3, failed=False)
    best = ledger.trials["search-prefinetune-0.1-0000"].replicates.values()
    for trial_id, phase, arm in (
        ("c", "control", "focal"),
        ("s", "control_search", "crt"),
        ("t", "control_search", "crt"),
    ):
        ledger.start_trial(trial_id, phase, arm, 0.1, {"arm": arm, "head_epochs": len(ledger.trials)})
        for record in best:
            ledger.add_replicate(trial_id, record)
        ledger.finish_trial(trial_id, "complete")
    assert run("adme", "--storage", tmp_path) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "classifier re-training (cRT)" in out and "chosen among 2 trials, 8 replicates" in out
    assert "vanilla's settings, not tuned" in out
    assert "these arms ran at settings tuned for vanilla: focal loss." in out
    report = (tmp_path / "adme" / "report.html").read_text(encoding="utf-8")
    for said in (
        "chosen among 2 trials, 8 replicates",
        "classifier re-training",
        "<code>t</code>",
        "settings tuned for",
    ):
        assert said in report
    assert run("adme", "--storage", tmp_path, "--format", "json", "--top", 1) == 0
    kept = json.loads(capsys.readouterr().out)["trials"]
    assert [t["arm"] for t in kept] == ["prefinetune", "crt"]


def test_metric_of_the_gain_can_be_chosen(tmp_path, make_study, capsys):
    make_study()
    assert run("adme", "--storage", tmp_path, "--format", "json", "--metric", "val/recall/other") == 0
    values = json.loads(capsys.readouterr().out)
    assert {t["gain"]["metric"] for t in values["trials"]} == {"val/recall/other"}


def test_one_replicate_is_said_plainly(tmp_path, make_study, capsys):
    make_study(replicates=1)
    assert run("adme", "--storage", tmp_path) == 0
    assert "n=1, no interval" in capsys.readouterr().out


def test_sample_results_are_marked(tmp_path, make_study, capsys):
    make_study(is_sample=True)
    assert run("adme", "--storage", tmp_path) == 0
    assert "mean nothing about FDA labels" in capsys.readouterr().out


def test_brackets_in_names_are_printed_as_they_are(tmp_path, make_study, capsys):
    ledger = make_study(ratios=(0.1,))
    ledger.start_trial("[red]x[/red]", "search", "prefinetune", 0.1, {"operator": "[bold]loud[/nonsense]"})
    assert run("adme", "--storage", tmp_path) == 0
    out = capsys.readouterr().out
    assert "[red]x[/red]" in out
    assert "[bold]loud[/nonsense]" in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["nothing"], "study.launch nothing"), (["adme", "--metric", "f1"], "val/macro_f1")],
)
def test_bad_input_is_a_configuration_fault(tmp_path, make_study, capsys, arguments, expected):
    make_study()
    assert run(*arguments, "--storage", tmp_path) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert expected in captured.err


def test_storage_comes_from_the_environment(tmp_path, make_study, monkeypatch, capsys):
    make_study()
    monkeypatch.setenv("STUDY_STORAGE", str(tmp_path))
    assert run("adme", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["study"] == "adme"


@pytest.mark.parametrize("top", ["0", "-1", "many"])
def test_top_must_be_a_positive_number(tmp_path, make_study, capsys, top):
    make_study(trials=0)
    with pytest.raises(SystemExit) as stopped:
        run("adme", "--storage", tmp_path, f"--top={top}")
    assert stopped.value.code == 2
    assert "expected a whole number above 0" in capsys.readouterr().err
