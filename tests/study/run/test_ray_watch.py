"""What happens when a process of Ray is lost: the study stops, even where Tune hangs."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from study.run import ray_watch
from study.run.ray_watch import RayProcess, RayWatch


@pytest.fixture
def listening(monkeypatch):
    monkeypatch.setattr(ray_watch, "_EVERY_S", 0.02)
    monkeypatch.setattr(ray_watch, "_STEP_OF_TUNE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server
    ray_watch._watched.clear()


def watched(server, patience_s=0.1):
    return [RayProcess(server.getsockname(), patience_s, "The head does not answer any more.")]


def test_a_lost_process_interrupts_tune_then_ends_the_process(listening):
    ended = threading.Event()
    said = []
    with RayWatch(watched(listening), lambda failure: (said.append(failure), ended.set())) as watch:
        assert not ended.wait(0.3)
        watch.check()
        assert not ray_watch.is_lost()
        listening.close()
        assert ended.wait(5)
        with pytest.raises(KeyboardInterrupt):
            watch.check()
        assert ray_watch.is_lost()
    assert "does not answer" in str(said[0])


def test_a_head_that_is_back_in_time_is_no_loss(listening):
    address = listening.getsockname()
    with RayWatch(watched(listening, patience_s=30), lambda failure: None) as watch:
        listening.close()
        assert watch.look() is None
        with socket.create_server(address):
            assert watch.look() is None
        assert watch.stopped is None


def test_an_error_of_ray_is_put_down_to_a_process_that_is_away(listening):
    watch = RayWatch(watched(listening), lambda failure: None)
    assert watch.loss_behind(RuntimeError("actor unavailable")) is None
    listening.close()
    assert "does not answer" in str(watch.loss_behind(RuntimeError("actor unavailable")))
    assert watch.loss_behind(KeyboardInterrupt()) is None


def test_a_signal_that_tune_does_not_get_round_to_ends_the_process(listening, monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(type(ray_watch.ENDING_SIGNALS), "waited_s", 1.0)
    with RayWatch(watched(listening), lambda failure: ended.set() if failure is None else None):
        assert ended.wait(5)


@pytest.mark.parametrize(("given", "patience_s"), [(None, 40.0), ("90", 60.0)])
def test_a_driver_is_not_ended_by_ray_before_the_watch_stops_the_study(monkeypatch, given, patience_s):
    """Ray would end it from C++, without a word, and without closing anything."""
    monkeypatch.setattr(ray_watch, "_head_may_be_away_s", 0.0)
    monkeypatch.setenv(ray_watch._RECONNECT_VARIABLE, given or "")
    if given is None:
        monkeypatch.delenv(ray_watch._RECONNECT_VARIABLE)
    for _ in range(2):
        ray_watch.outlive_the_head()
        assert ray_watch._head_may_be_away_s == patience_s
        assert float(os.environ[ray_watch._RECONNECT_VARIABLE]) > 2 * patience_s
