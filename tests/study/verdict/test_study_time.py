"""What is told of a study's time."""

from __future__ import annotations

import json
import time

from study.compare import main
from study.record.folder import StudyFolder
from study.verdict.comparison import build_comparison, load_study
from study.verdict.report import render_report
from tests.study.verdict.test_report import Page


def test_what_there_was_no_time_for_leads_and_the_times_stand_in_the_report(tmp_path, make_study, capsys):
    make_study(ratios=(0.1,))
    facts, ledger = load_study(tmp_path, "adme")
    ledger.append("launched", began=time.time() - 90.0, budget_s=120.0)
    ledger.append("trial_limit", trials=2)
    facts["time"] = {
        "planned_s": 100.0,
        "budget_s": 120.0,
        "trials_a_ratio": 4,
        "sentences": ["Chosen to end in 1.7 min."],
    }
    comparison = build_comparison(ledger, facts)
    page = Page(render_report(comparison))
    said = " ".join(page.text.split())
    assert "Time ran short: each search had 2 trials a ratio instead of 4" in said
    assert "It took 1.5 min of a budget of 2.0 min; 1.7 min were planned. Chosen to end in 1.7 min." in said
    StudyFolder(tmp_path, "adme").write_facts(facts)
    assert main(["adme", "--storage", str(tmp_path)]) == 0
    assert "Time ran short" in capsys.readouterr().out
    assert main(["adme", "--storage", str(tmp_path), "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)["time"]
    assert (values["budget_s"], values["trials_kept"], values["trials_planned"]) == (120.0, 2, 4)
