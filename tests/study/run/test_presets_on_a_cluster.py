"""Every preset drives a cluster that has no node yet to all nodes that it may start, of whatever size these are."""

from __future__ import annotations

import pytest

from study.config.files import load_study_file
from study.config.study_files import known_studies, load
from study.run.capacity import HEAD, Autoscaler, Capacity, Demand, NodeType
from study.run.cluster import Connection, trial_resources
from tests.study.simulation import SimulatedStudy

MOST = 3
EMPTY_HEAD = {HEAD: 1.0, "CPU": 0.0}
STUDIES = [(name, preset) for name in known_studies() for preset in load(name).presets]


def with_nodes_to_come(node):
    """A joined cluster that has its head alone, and an autoscaler that may start so many nodes like this one."""
    capacity = Capacity(lambda: [EMPTY_HEAD], Autoscaler((NodeType(node, MOST),), MOST))
    return Connection(True, "", EMPTY_HEAD, capacity)


@pytest.mark.parametrize(("name", "preset"), STUDIES)
@pytest.mark.parametrize("node", [{"CPU": 1.0, "GPU": 1.0}, {"CPU": 4.0, "GPU": 1.0}])
def test_as_many_trials_are_asked_for_as_all_nodes_hold(name, preset, node):
    resources = trial_resources(load_study_file(name, preset, {}), with_nodes_to_come(node))
    one = Demand(resources.of_worker(), resources.workers).slots([node])
    assert one >= 1 and resources.concurrency == MOST * one


@pytest.mark.parametrize(("name", "preset"), STUDIES)
def test_there_is_work_for_three_trials_at_a_time(tmp_path, name, preset):
    """Not from the first moment: a search waits for its reference."""
    study = SimulatedStudy(tmp_path, load_study_file(name, preset, {}))
    jobs = []
    while len(jobs) < MOST:
        jobs = []
        while len(jobs) < MOST and (job := study.plan.next_job()) is not None:
            jobs.append(job)
        assert jobs, "the study ended without ever having work for all nodes"
        if len(jobs) < MOST:
            for job in jobs:
                study._run_job(job)
