"""Lines that earlier versions wrote are read, and lines are written as they wrote them."""

from __future__ import annotations

import json

import pytest

from study.plan.owed import Planned
from study.record.ledger import Ledger
from study.record.lines import damage_in_words
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


def test_the_gpu_of_a_replicate_is_kept_and_a_processor_leaves_its_line_alone(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.start_trial("a", "search", "prefinetune", 0.1, {})
    for replicate, gpu in enumerate(("NVIDIA L4", "")):
        ledger.add_replicate("a", ReplicateRecord(replicate, {}, 2.0, gpu=gpu))
    assert [r.gpu for r in Ledger(ledger.path).trials["a"].replicates.values()] == ["NVIDIA L4", ""]
    on_gpu, on_processor = ledger.path.read_text().splitlines()[-2:]
    assert '"gpu": "NVIDIA L4"' in on_gpu and "gpu" not in on_processor


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
    assert all(len(event.pop("crc32")) == 8 for event in written), "which the older version reads past"
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
    assert [line.number for line in ledger.damaged] == [2]
    assert trial.state == "complete" and set(trial.replicates) == {0}
    path.write_bytes(damage + b"".join(lines[1:]))
    assert Ledger(path).trials == {} and [line.number for line in Ledger(path).damaged] == [1, 3, 4]


@pytest.fixture
def written(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.start_trial("search-1", "search", "prefinetune", 0.1, {"strength": 0.2})
    for replicate in range(2):
        ledger.add_replicate("search-1", ReplicateRecord(replicate, {"val/macro_f1": 0.5}, 2.0))
    ledger.finish_trial("search-1", "complete")
    return ledger.path


@pytest.mark.parametrize(
    ("number", "cost"),
    [
        (1, "the start of search-1, without which"),
        (2, "replicate 0 of search-1, which is trained again"),
        (4, "the end of search-1, which is decided again"),
    ],
)
def test_a_line_that_still_looks_like_one_is_told_by_its_checksum(written, number, cost):
    lines = written.read_bytes().splitlines(keepends=True)
    lines[number - 1] = lines[number - 1].replace(b'"time": 1', b'"time": 2')
    written.write_bytes(b"".join(lines))
    ledger = Ledger(written)
    said = damage_in_words(written, ledger.damaged)
    assert said.startswith(f"Line {number} of {written} cannot be read (its checksum does not match): ")
    assert cost in said


def test_a_last_line_that_was_being_written_is_told_once(written):
    written.write_bytes(written.read_bytes()[:-40])
    ledger = Ledger(written)
    assert "Line 4 of" in (said := damage_in_words(written, ledger.damaged))
    assert "it is cut short" in said and "the end of search-1" in said
    ledger.note_told()
    later = Ledger(written)
    assert later.damaged == [] and later.trials["search-1"].state == "running"
    assert len(later.trials["search-1"].replicates) == 2


def test_a_last_line_that_lacks_its_end_of_line_alone_is_read(written):
    written.write_bytes(written.read_bytes()[:-1])
    ledger = Ledger(written)
    assert ledger.damaged == [] and ledger.trials["search-1"].state == "complete"
    ledger.append("look", replicates=3)
    assert Ledger(written).looks == {3} and Ledger(written).damaged == []


def test_of_many_damaged_lines_the_number_is_told(written):
    written.write_bytes(written.read_bytes() + b"?\n" * 20)
    said = damage_in_words(written, Ledger(written).damaged)
    assert said.count("cannot be read (") == 5 and "15 further lines" in said
