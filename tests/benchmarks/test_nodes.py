from __future__ import annotations

import json
import os

import pytest

from benchmarks.nodes import efficiency, main, on_nodes
from study.record.ledger import TrialRecord
from tests.tiny_encoder import write_tiny_encoder
from trainables.errors import StudyStopped
from trainables.trial import ReplicateRecord


def trial(number, started, finished, seconds=(8.0, 8.0), state="complete"):
    replicates = {r: ReplicateRecord(replicate=r, metrics={}, seconds=s) for r, s in enumerate(seconds)}
    return TrialRecord(
        trial_id=str(number), phase="search", arm="prefinetune", imbalance_ratio=0.2, config={}, state=state,
        replicates=replicates, started=started, finished=finished,
    )  # fmt: skip


def test_the_figures_of_two_nodes():
    found = on_nodes(2, [trial(0, 100.0, 120.0), trial(1, 101.0, 121.0), trial(2, 120.0, 140.0)])
    assert (found.trials, found.window_s, found.trials_per_hour) == (3, 40.0, 270.0)
    assert found.busy == pytest.approx(48.0 / 80.0) and found.replicate_s == 8.0
    one = on_nodes(1, [trial(number, 20.0 * number, 20.0 * (number + 1)) for number in range(3)])
    assert one.trials_per_hour == 180.0 and efficiency(found, one) == 0.75 and efficiency(one, one) == 1.0


@pytest.mark.parametrize(
    ("searched", "said"),
    [([], "it has no trial"), ([trial(0, 0.0, 9.0), trial(1, 0.0, 9.0, state="failed")], "1 failed")],
)
def test_a_search_that_did_not_end_well_has_none(searched, said):
    with pytest.raises(StudyStopped, match=said):
        on_nodes(1, searched)


def test_more_nodes_than_processors_and_more_trials_than_there_are_are_refused_together(capsys):
    assert main(["--nodes", "1000", "--trials", "1000"]) != 0
    said = " ".join(capsys.readouterr().err.split())
    assert "each node has a processor of its own" in said and "there are 16 configurations" in said


@pytest.mark.slow
def test_one_node_runs_the_study_and_this_process_keeps_its_processors(tmp_path, capsys):
    before = os.sched_getaffinity(0)
    encoder = str(write_tiny_encoder(tmp_path / "encoder"))
    assert main(["--nodes", "1", "--trials", "2", "--replicates", "1", "--encoder", encoder]) == 0
    (one,) = json.loads(capsys.readouterr().out)["nodes"]
    assert (one["nodes"], one["trials"]) == (1, 2) and 0.0 < one["busy"] <= 1.0
    assert os.sched_getaffinity(0) == before
