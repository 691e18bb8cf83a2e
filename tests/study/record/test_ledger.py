"""Lines that earlier versions wrote are read, and lines are written as they wrote them."""

from __future__ import annotations

import json

import pytest

from study.plan.owed import Planned
from study.record.ledger import Ledger
from trainables.settings import TrialSettings
from trainables.trial import ReplicateRecord

OLDER = (
    '{"event": "trial_started", "time": 1.5, "trial_id": "control-1", "phase": "control", "arm": "vanilla_matched", '
    '"imbalance_ratio": 0.1, "config": {"arm": "vanilla_matched", "stage2_steps": 9, "matched_to": "search-7"}}\n'
    '{"event": "note", "time": 1.6, "key": "anything", "value": 3}\n'
    '{"event": "replicate", "time": 2.5, "trial_id": "control-1", "replicate": 0, "metrics": {"val/macro_f1": 0.5}, '
    '"seconds": 2.0, "diagnostics": {}, "posthoc": {}}\n'
    '{"event": "trial_finished", "time": 3.5, "trial_id": "control-1", "state": "complete", "error": null, '
    '"can_pass": false}\n'
)


def test_an_older_ledger_is_read(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_text(OLDER)
    (trial,) = Ledger(path).trials.values()
    assert trial.matched_to == "search-7" and trial.config == {"arm": "vanilla_matched", "stage2_steps": 9}
    assert (trial.state, trial.started, trial.finished) == ("complete", 1.5, 3.5)
    assert trial.replicates[0] == ReplicateRecord(0, {"val/macro_f1": 0.5}, 2.0)


def test_lines_are_written_as_the_older_version_wrote_them(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    config = {"arm": "vanilla_matched", "stage2_steps": 9}
    ledger.start_trial("control-1", "control", "vanilla_matched", 0.1, config, "search-7")
    ledger.add_replicate("control-1", ReplicateRecord(0, {"val/macro_f1": 0.5}, 2.0))
    ledger.finish_trial("control-1", "complete")
    written = [json.loads(line) for line in ledger.path.read_text().splitlines()]
    older = [json.loads(line) for line in OLDER.splitlines() if "note" not in line]
    for event in (*written, *older):
        del event["time"]
    assert [list(event.items()) for event in written] == [list(event.items()) for event in older]
    ledger.restart_trial(ledger.trials["control-1"])
    assert Ledger(ledger.path).trials["control-1"].matched_to == "search-7"


def test_the_identity_of_a_matched_trial_covers_what_it_is_matched_to():
    settings = TrialSettings(arm="vanilla_matched", imbalance_ratio=0.1, stage2_steps=40)
    ids = [Planned("control", settings, 2, matched_to=of).trial_id for of in (None, "search-a", "search-b")]
    assert ids == ["control-57d9a591af", "control-e1919465a5", "control-c21ab39e61"]


@pytest.mark.parametrize(
    "damage",
    [
        b'{"event": "trial_fini\n',
        b"\0" * 41 + b"\n",
        b"\0" * 43 + b'{"event": "note"}\n',
        b'{"event": "\xff\xfe"}\n',
        b"12\n",
        b"[]\n",
        b'{"event": "replicate"}\n',
        b'{"event": "trial_finished", "time": 3, "trial_id": "lost", "state": "complete"}\n',
    ],
)
def test_a_damaged_line_costs_what_it_held_and_nothing_else(tmp_path, damage):
    """A machine that goes down may leave zeros where lines were; the trial that began there is unknown, too."""
    path = tmp_path / "ledger.jsonl"
    lines = OLDER.encode().splitlines(keepends=True)
    path.write_bytes(lines[0] + damage + b"".join(lines[1:]))
    ledger = Ledger(path)
    (trial,) = ledger.trials.values()
    assert ledger.unreadable == 1 and trial.state == "complete" and set(trial.replicates) == {0}
    path.write_bytes(damage + b"".join(lines[1:]))
    assert Ledger(path).trials == {} and Ledger(path).unreadable == 3
