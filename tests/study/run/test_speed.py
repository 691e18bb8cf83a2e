"""What a study does is timed where its trials will run."""

from __future__ import annotations

import pytest
import ray

from study.run import speed
from study.run.cluster import TrialResources
from study.run.speed import Speed, roomiest, speed_of_trials, stand_in_sentence

HEAD = {"NodeID": "head", "Alive": True, "Resources": {"CPU": 0.0}}
SMALL = {"NodeID": "small", "Alive": True, "Resources": {"CPU": 2.0}}
LARGE = {"NodeID": "large", "Alive": True, "Resources": {"CPU": 8.0, "GPU": 1.0}}
GONE = {"NodeID": "gone", "Alive": False, "Resources": {"CPU": 64.0}}


@pytest.mark.parametrize(
    ("nodes", "asked", "found"),
    [
        ([HEAD, SMALL, LARGE], {}, ("large", 8)),
        ([HEAD, SMALL], {}, ("small", 2)),
        ([HEAD], {}, None),
        ([], {}, None),
        ([SMALL, LARGE], {"concurrency": 3}, ("large", 3)),
        ([SMALL, LARGE], {"gpus": 0.25}, ("large", 1)),  # a GPU is timed alone
        ([SMALL], {"gpus": 0.25}, None),
        ([SMALL, LARGE], {"workers": 2}, ("large", 1)),
    ],
)
def test_the_node_with_most_room_is_timed_with_as_many_trials_as_it_holds(nodes, asked, found):
    resources = TrialResources(**{"workers": 1, "cpus": 1.0, "gpus": 0.0, "concurrency": 24, **asked})
    assert roomiest(nodes, resources) == found


def test_a_head_without_workers_is_timed_with_no_more_trials_than_it_has_processors_and_says_so(monkeypatch):
    """Later it may run two dozen trials, on nodes that have not been started."""
    timed = []

    def measured(*given):
        timed.append(given[3].concurrency)
        return Speed(1.0, 1.0)

    monkeypatch.setattr(ray, "nodes", lambda: [HEAD, GONE])
    monkeypatch.setattr(speed, "cpus_here", lambda: 3)
    monkeypatch.setattr(speed, "measured_speed", measured)
    resources = TrialResources(workers=1, cpus=1.5, gpus=0.0, concurrency=24)
    for joined, at_once in ((True, 2), (False, 24)):
        found = speed_of_trials(None, None, None, resources, joined=joined)
        assert timed[-1] == at_once
        assert found.stands_in == joined == bool(stand_in_sentence(found))
    assert "timed on the processors of this machine" in stand_in_sentence(Speed(1.0, 1.0, stands_in=True))
