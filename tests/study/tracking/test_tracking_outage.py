"""MLflow ends at what the ledger says, whatever happens to it or to the driver in between."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.mlflow_server import LocalServer
from study.record.ledger import Ledger
from study.tracking import tracker as tracking
from study.tracking.tracker import Tracker
from study.tracking.uri import open_client, tracking_faults
from tests.study.tracked import FakeClient, launch, replicate, runs_of, small_study, state_of


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(tracking, "_FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(tracking, "_LONGEST_PAUSE_S", 0.0)
    monkeypatch.setattr(tracking, "_WRITE_EVERY_S", 0.0)

    def make() -> FakeClient:
        client = FakeClient()
        monkeypatch.setattr(tracking, "open_client", lambda uri: client)
        return client

    return make


def run_study(path: Path, schedule, client: FakeClient, lines: list[str], killed_after=()) -> Tracker:
    """A study from its first trial to its end, event by event, by drivers that are killed after some of them."""
    ledger = Ledger(path)
    client.schedule = iter(schedule)
    tracker = Tracker("http://server", launch(), ledger, say=lines.append)
    events = []
    for trial_id, phase, arm in (
        ("r", "reference_tuning", "vanilla"),
        ("v", "reference", "vanilla"),
        ("t", "search", "prefinetune"),
    ):
        values = [replicate(index, 0.4 + 0.1 * index + len(arm) / 100) for index in range(3)]
        events.append((trial_id, "start_trial", (phase, arm, 0.1, {"strength": 0.3})))
        events += [(trial_id, "add_replicate", (value,)) for value in values]
        events.append((trial_id, "finish_trial", ("complete",)))
    for place, (trial_id, happens, details) in enumerate(events):
        getattr(ledger, happens)(trial_id, *details)
        if place in killed_after:
            ledger = Ledger(path)
            tracker = Tracker("http://server", launch(), ledger, say=lines.append)
        tracker.update(ledger.trials[trial_id])
    return tracker


FATES = st.sampled_from(["answers", "answers", "answers", "is away", "loses its answer"])


@settings(deadline=None, max_examples=80)
@given(schedule=st.lists(FATES, max_size=80), killed_after=st.sets(st.integers(0, 14), max_size=3))
def test_whatever_fails_mlflow_ends_at_what_an_undisturbed_study_shows(
    tmp_path_factory, schedule, killed_after
):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_FIRST_PAUSE_S", "_LONGEST_PAUSE_S", "_WRITE_EVERY_S"):
            patch.setattr(tracking, name, 0.0)
        contents = []
        for fates, kills in ((schedule, killed_after), ((), ())):
            client = FakeClient()
            patch.setattr(tracking, "open_client", lambda uri, client=client: client)
            path = tmp_path_factory.mktemp("study") / "ledger.jsonl"
            tracker = run_study(path, fates, client, [], kills)
            client.schedule = iter(())
            tracker.close()
            contents.append(client.content())
    disturbed, undisturbed = contents
    assert disturbed == undisturbed
    assert {content[0] for content in undisturbed.values()} == {"FINISHED"}
    assert len(undisturbed["r"][3]["values/val/gain_macro_f1"]) == 3


def test_losing_and_finding_mlflow_is_said_once(tmp_path, fake):
    client, lines = fake(), []
    tracker = run_study(tmp_path / "ledger.jsonl", [*["answers"] * 8, *["is away"] * 4], client, lines)
    assert len(lines) == 2, lines
    assert "The study goes on" in lines[0]
    assert "up to date" in lines[1]
    assert not tracker.behind


def test_a_server_that_comes_back_empty_is_filled_at_once(tmp_path, fake):
    client, lines, ledger = fake(), [], small_study(tmp_path)
    tracker = Tracker("http://server", launch(), ledger, say=lines.append)
    before = client.content()
    client.runs.clear()
    client.schedule = iter(["is away"])
    ledger.add_replicate("u", replicate(1, 0.4))
    tracker.update(ledger.trials["u"])
    assert len(lines) == 1
    tracker.update(ledger.trials["u"])
    assert client.content().keys() == before.keys()


def test_a_run_that_was_made_twice_is_reduced_to_one(tmp_path, fake):
    client = fake()
    run_study(tmp_path / "ledger.jsonl", (), client, []).close()
    before = client.content()
    twin = {"trial_id": "t", "study_id": "one"}
    client.create_run("1", 0, twin, "twin of a run whose first answer was lost")
    Tracker("http://server", launch(), Ledger(tmp_path / "ledger.jsonl")).close()
    assert len(client.runs) == len(before)
    assert client.content() == before


def test_mlflow_that_stays_away_is_left_alone_between_attempts_and_named_at_the_end(
    tmp_path, fake, monkeypatch
):
    client, lines = fake(), []
    monkeypatch.setattr(tracking, "_FIRST_PAUSE_S", 3600.0)
    tracker = run_study(tmp_path / "ledger.jsonl", itertools.repeat("is away"), client, lines)
    assert tracker.behind
    assert client.calls == 1
    tracker.close()
    assert len(lines) == 2
    assert "Run the same command again" in lines[1]
    assert str(tmp_path) in lines[1]


def test_one_event_is_one_batch_and_quick_replicates_are_written_together(tmp_path, fake, monkeypatch):
    client = fake()
    batches = []
    log_batch = FakeClient.log_batch

    def counted(self, run_id, **content):
        batches.append(run_id)
        log_batch(self, run_id, **content)

    monkeypatch.setattr(FakeClient, "log_batch", counted)
    monkeypatch.setattr(tracking, "_WRITE_EVERY_S", 3600.0)
    tracker = run_study(tmp_path / "ledger.jsonl", (), client, [])
    assert len(batches) == 7, "one for the launch, one when a trial starts, one when it ends"
    tracker.close()
    assert len(batches) == 8, "the tuning's gain, whose reference came after it"


@pytest.fixture
def server(tmp_path):
    with LocalServer(tmp_path) as server:
        yield server


@pytest.mark.slow
def test_a_server_that_is_killed_and_comes_back_holds_everything_once(tmp_path, server, uri, monkeypatch):
    monkeypatch.setattr(tracking, "_FIRST_PAUSE_S", 0.5)
    monkeypatch.setattr(tracking, "_WRITE_EVERY_S", 0.0)
    ledger, lines = small_study(tmp_path), []
    report = tmp_path / "report.html"
    report.write_text("report")
    assert tracking_faults(server.uri) == []
    tracker = Tracker(server.uri, launch(), ledger, say=lines.append)
    server.kill()
    started = time.monotonic()
    for index in (1, 2):
        ledger.add_replicate("u", replicate(index, 0.3))
        tracker.update(ledger.trials["u"])
    ledger.start_trial("w", "search", "prefinetune", 0.1, {"operator": "eda", "strength": 0.2})
    tracker.update(ledger.trials["w"])
    tracker.log_artifacts([report])
    assert time.monotonic() - started < 5, "an MLflow that is away must not hold up the study"
    assert tracker.behind
    server.start()
    ledger.finish_trial("w", "failed", "loss is not a number")
    tracker.update(ledger.trials["w"])
    ledger.finish_trial("u", "raced_out")
    tracker.update(ledger.trials["u"])
    tracker.close()
    assert len(lines) == 2, lines
    Tracker(uri, launch(), ledger).close()
    assert state_of(server.uri) == state_of(uri)
    client = open_client(server.uri)
    parent = runs_of(server.uri)[None].info.run_id
    assert [file.path for file in client.list_artifacts(parent)] == ["report.html"]
