"""A node that is lost costs a line and the replicates in flight, which are counted."""

from __future__ import annotations

from study.run.node_watch import NodeWatch


def node(number, alive=True, reason=None, message=""):
    return {
        "NodeID": str(number),
        "Alive": alive,
        "NodeManagerAddress": f"10.0.0.{number}",
        "NodeManagerHostname": f"gpu-{number}",
        **({} if reason is None else {"DeathReason": reason, "DeathReasonMessage": message}),
    }


def watch(groups=False):
    nodes, said, now = [node(1), node(2), node(3)], [], [0.0]
    watching = NodeWatch(lambda: nodes, said.append, groups=groups, place=str, clock=lambda: now[0])

    def look():
        now[0] += 10
        watching.check()

    look()
    return watching, nodes, said, look


def test_a_lost_node_is_told_in_one_line_with_what_was_in_flight():
    watching, nodes, said, look = watch()
    dump = "Unexpected termination: health check failed. Last 20 lines of the log:\n  - a\n  - b"
    nodes[1] = node(2, False, 2, dump)
    watching.process_died("tune-a", "search-a")
    look()
    watching.process_died("tune-b", "search-b")  # Ray tells of it later
    assert said == []
    look()
    assert said == [
        "Lost node 10.0.0.2 (gpu-2): Unexpected termination: health check failed; 2 replicate(s) begin again."
    ]
    look()
    nodes[2] = node(3, False, 3)
    look()
    watching.end()
    assert said[1] == (
        "Lost node 10.0.0.3 (gpu-3): the provider took it back (preempted); nothing was in flight there."
    )
    assert said[2].startswith("2 replicate(s) of 2 trial(s)") and said[2].endswith("search-a, search-b.")


def test_nodes_that_come_are_told_and_idle_ones_that_go_are_not():
    watching, nodes, said, look = watch()
    nodes.append(node(4))
    nodes[0] = node(1, False, 4, "idle")
    for _ in range(3):
        look()
    watching.end()
    assert said == ["Node 10.0.0.4 (gpu-4) joined the cluster."]


def test_of_a_group_of_workers_nothing_is_told_that_is_not_known():
    """The trial's own process is on the head, and Ray Train replaces its workers."""
    _, nodes, said, look = watch(groups=True)
    nodes[1] = node(2, False, 3)
    look()
    look()
    (told,) = said
    assert told.endswith("(preempted); trials that had workers there start them again.")


def test_it_knows_where_a_process_was_and_which_nodes_are_gone():
    watching, nodes, _, _ = watch()
    watching.began("tune-a", 2)
    watching.began("tune-b", 3)
    assert watching.gone() == frozenset()
    nodes[1] = node(2, False, 3)
    assert watching.process_died("tune-a", "search-a") == "2" and watching.gone() == {"2"}
    assert watching.process_died("tune-c", "search-c") == ""
