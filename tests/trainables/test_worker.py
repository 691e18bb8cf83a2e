"""A trial survives the loss of a worker, and leaves nothing behind in a process that goes on."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainables.conftest import WORDS
from trainables import worker
from trainables.errors import TrialFailed
from trainables.failure_notes import FailureNotes
from trainables.prepared import PreparedCorpus, RunSettings
from trainables.reuse.lengths import StageLengths
from trainables.settings import TrialSettings
from trainables.trial import TrialJob
from trainables.worker import (
    WorkerGroup,
    bind_to_address,
    run_as_one_of_several,
    run_in_worker_group,
    run_trial,
)
from trainables.world import World


@pytest.fixture
def prepared(toy):
    tokens, labels = toy
    held_out = tokens.select(np.arange(60, 90)), labels[60:]
    return PreparedCorpus(
        train_texts=[" ".join(WORDS[i % 60] for i in range(k, k + 9)) for k in range(60)],
        train_tokens=tokens.select(np.arange(60)),
        train_labels=labels[:60],
        validation_tokens=held_out[0],
        validation_labels=held_out[1],
        test_tokens=held_out[0],
        test_labels=held_out[1],
        classes=("a", "b", "c"),
        digest="toy",
    )


def run_settings(encoder, folder, **changes):
    return RunSettings(
        study_seed=1,
        encoder=encoder,
        profile="step",
        n_max=15,
        max_train_rows=None,
        cache_dir=str(folder),
        **changes,
    )


def job(replicates, known=None, **settings):
    return TrialJob(
        trial_id="toy",
        phase="search",
        settings=TrialSettings(imbalance_ratio=0.5, stage2_learning_rate=1e-3, **settings),
        replicates=replicates,
        objective="val/macro_f1",
        reference={},
        known=known or {},
        threads=1,
    )


def test_reported_replicates_are_neither_run_nor_reported_again(encoder, prepared, tmp_path):
    run = run_settings(encoder, tmp_path)
    whole, rest = [], []
    work = job((0, 1, 2), known={1: 0.25}, arm="vanilla")
    run_trial(work, prepared, run, whole.append, World.single())
    run_trial(work, prepared, run, rest.append, World.single(), [report["value"] for report in whole[:2]])
    assert [report["replicates"] for report in whole] == [1, 2, 3]
    assert [report["record"] is None for report in whole] == [False, True, False]
    assert len(rest) == 1
    assert rest[0]["record"]["metrics"] == whole[2]["record"]["metrics"]
    assert rest[0]["objective"] == whole[2]["objective"]


def test_many_trials_leave_no_tensor_behind(encoder, prepared, tmp_path):
    run = run_settings(encoder, tmp_path, stage1_grid=StageLengths((1.0, 2.0)), checkpoint_every_s=0.0)

    def live_after(replicate):
        for arm in ("vanilla", "prefinetune"):
            reports = []
            run_trial(
                job((replicate,), arm=arm, stage1_data="duplicated_balanced"),
                prepared,
                run,
                reports.append,
                World.single(),
            )
            assert reports[-1]["failure"] is None
        return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())

    gc.collect()
    gc.disable()  # nothing may need the collector to go away
    try:
        first, *later = [live_after(replicate) for replicate in range(12)]
    finally:
        gc.enable()
    assert max(later) <= first


def test_threads_are_those_that_the_trial_owns(encoder, prepared, tmp_path, monkeypatch):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "TOKENIZERS_PARALLELISM"):
        monkeypatch.setenv(name, "elsewhere")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        run_trial(job(()), prepared, run_settings(encoder, tmp_path), [].append, World.single())
        assert torch.get_num_threads() == 1
        assert (os.environ["RAYON_NUM_THREADS"], os.environ["TOKENIZERS_PARALLELISM"]) == ("1", "false")
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class OneOfTwo(World):
    """A worker without a process group, which knows what the first worker says where that is not itself."""

    said: tuple[dict[str, object], ...] = ()

    def gather(self, mine):
        return [self.said if self.rank else mine, mine]


@pytest.fixture
def fails(monkeypatch):
    def replicate(prepared, run, settings, replicate, world, kept):
        raise TrialFailed("out of memory")

    monkeypatch.setattr(worker, "run_replicate", replicate)


def test_a_trial_alone_reports_that_it_failed(encoder, prepared, tmp_path, fails):
    reports = []
    run_trial(job((4, 5)), prepared, run_settings(encoder, tmp_path), reports.append, World.single())
    assert [report["failure"] for report in reports] == ["replicate 4: out of memory"]


@pytest.mark.parametrize("rank", [0, 1])
def test_one_worker_that_fails_reports_nothing_which_the_next_group_does(
    encoder, prepared, tmp_path, fails, rank
):
    run, reports = run_settings(encoder, tmp_path), []

    def start(world):
        """Start a worker of a group after whose first replicate the trial was interrupted."""
        notes = FailureNotes(tmp_path / "failed", world)
        run_as_one_of_several(job((4, 5)), prepared, run, reports.append, world, [0.5], notes)

    with pytest.raises(TrialFailed, match="replicate 5: out of memory"):
        start(OneOfTwo(rank, 2))
    assert reports == []  # a report would wait for the other worker
    said = ({"message": "replicate 5: out of memory", "can_pass": False},)
    for world in (OneOfTwo(0, 2), OneOfTwo(1, 2, said=said)):
        start(world)
    assert [(r["replicates"], r["failure"], r["value"]) for r in reports] == [
        (1, "replicate 5: out of memory", None)
    ] * 2
    assert FailureNotes(tmp_path / "failed", OneOfTwo(0, 2)).take() is None


def test_the_reasons_of_several_workers_are_told_once_each(tmp_path):
    for rank, reason in enumerate(("training diverged", "out of memory", "training diverged")):
        with pytest.raises(TrialFailed), FailureNotes(tmp_path / "failed", World(rank, 3)).kept():
            raise TrialFailed(reason)
    taken = FailureNotes(tmp_path / "failed", World.single()).take()
    assert str(taken) == "training diverged; out of memory" and not taken.can_pass
    with pytest.raises(TrialFailed), FailureNotes(tmp_path / "failed", World.single()).kept():
        raise TrialFailed("server away", can_pass=True)
    assert FailureNotes(tmp_path / "failed", World.single()).take().can_pass
    with pytest.raises(ZeroDivisionError), FailureNotes(tmp_path / "failed", World(0, 3)).kept():
        raise ZeroDivisionError
    assert FailureNotes(tmp_path / "failed", World.single()).take() is None


def train_workers():
    """Yield the process ids of this test's own Ray Train workers."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                title = (folder / "cmdline").read_bytes()
                ancestor = folder.name
                while b"RayTrainWorker" in title and int(ancestor) > 1:
                    if int(ancestor) == os.getpid():
                        yield int(folder.name)
                        break
                    status = Path("/proc", ancestor, "status").read_text()
                    ancestor = status.split("PPid:")[1].split()[0]
            except OSError:  # it ended meanwhile
                continue


class FailsOnTheSecond(PreparedCorpus):
    """Rows that the second worker of a group cannot be given, as if its memory alone had run out."""

    def __getattribute__(self, name):
        if name == "validation_tokens" and World.from_distributed().rank == 1:
            raise TrialFailed("the second worker's memory ran out")
        return super().__getattribute__(name)


@pytest.mark.slow
def test_a_worker_that_fails_alone_leaves_no_other_waiting(encoder, prepared, tmp_path, monkeypatch):
    """The first worker waits for it in the sum of a gradient, until the sum times out if nobody ends the group."""
    import ray
    from ray.train import UserCallback

    class Recorder(UserCallback):
        def after_report(self, run_context, metrics, checkpoint):
            with (tmp_path / "reports").open("a") as file:
                file.write(f"{metrics[0]['replicates']} {metrics[0]['failure']}\n")

    monkeypatch.setattr(worker, "_COLLECTIVE_TIMEOUT_S", 60)
    monkeypatch.setenv("RAY_TRAIN_V2_ENABLED", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    ray.init(address="local", num_cpus=2, include_dashboard=True, log_to_driver=False)
    try:
        run_in_worker_group(
            job((0, 1), arm="vanilla", stage2_steps=20),
            ray.put(FailsOnTheSecond(**vars(prepared))),
            run_settings(encoder, tmp_path / "cache"),
            WorkerGroup(2, {"CPU": 0.5}),
            str(tmp_path / "ray"),
            "failing",
            [Recorder()],
        )
    finally:
        ray.shutdown()
    assert (tmp_path / "reports").read_text() == "0 replicate 0: the second worker's memory ran out\n"


@pytest.mark.slow
def test_a_lost_worker_costs_the_steps_since_the_last_checkpoint(encoder, prepared, tmp_path, monkeypatch):
    import ray
    from ray.train import UserCallback

    class Recorder(UserCallback):
        def __init__(self, file):
            self.file = file

        def after_report(self, run_context, metrics, checkpoint):
            import json

            with self.file.open("a") as file:
                file.write(json.dumps(metrics[0]) + "\n")

    def reports(name):
        import json

        file = tmp_path / f"{name}.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def run(name):
        run_in_worker_group(
            job((0, 1), arm="vanilla", stage2_steps=400),
            ray.put(prepared),
            run_settings(encoder, tmp_path / name, checkpoint_every_s=0.0),
            WorkerGroup(2, {"CPU": 0.5}),
            str(tmp_path / "ray"),
            name,
            [Recorder(tmp_path / f"{name}.jsonl")],
        )

    killed = []

    def kill_in_mid_stage():
        """Kill one worker once the first replicate was reported and the second one's stage has a checkpoint."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not killed:
            if reports("disturbed") and any((tmp_path / "disturbed").glob("checkpoint/*/*")):
                workers = sorted(train_workers())
                if workers:
                    os.kill(workers[-1], signal.SIGKILL)
                    killed.append(workers[-1])
            time.sleep(0.01)

    monkeypatch.setenv("RAY_TRAIN_V2_ENABLED", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    ray.init(address="local", num_cpus=2, include_dashboard=True, log_to_driver=False)
    try:
        run("undisturbed")
        killer = threading.Thread(target=kill_in_mid_stage)
        killer.start()
        run("disturbed")
        killer.join()
    finally:
        ray.shutdown()
    assert killed
    expected, got = reports("undisturbed"), reports("disturbed")
    assert [report["replicates"] for report in got] == [1, 2]
    for before, after in zip(expected, got, strict=True):
        assert after["record"]["metrics"] == before["record"]["metrics"]
    resumed = [report["record"]["diagnostics"]["stage2_resumed_at"] for report in got]
    assert resumed[0] == 0 < resumed[1] < 400


@pytest.mark.parametrize("noted", [True, False])
def test_the_reason_of_the_last_group_of_workers_is_told(tmp_path, monkeypatch, noted):
    """Where the restarts are spent no further group can report it."""
    import ray.train.torch
    from ray.train import WorkerGroupError

    class Trainer:
        def __init__(self, loop, **settings):
            pass

        def fit(self):
            if noted:
                with (
                    contextlib.suppress(TrialFailed),
                    FailureNotes(tmp_path / "t" / "failed", World(1, 2)).kept(),
                ):
                    raise TrialFailed("training diverged")
            raise WorkerGroupError("a worker failed", {1: RuntimeError("lost")})

    monkeypatch.setattr(ray.train.torch, "TorchTrainer", Trainer)
    expected = (TrialFailed, "training diverged") if noted else (WorkerGroupError, "a worker failed")
    with pytest.raises(expected[0], match=expected[1]):
        run_in_worker_group(job((0,)), None, None, WorkerGroup(2, {"CPU": 1}), str(tmp_path), "t", [])


@pytest.mark.parametrize("named", [None, "eth7"])
def test_workers_talk_through_the_interface_of_their_nodes_address(monkeypatch, named):
    """The name of a host leads to 127.x on many systems, where no other node reaches it."""
    import psutil

    loopback = next(
        name
        for name, addresses in psutil.net_if_addrs().items()
        if any(found.address == "127.0.0.1" for found in addresses)
    )
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        monkeypatch.setenv(name, named or "")
        if named is None:
            monkeypatch.delenv(name)
    bind_to_address("127.0.0.1")
    expected = named or loopback
    assert {os.environ[name] for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")} == {expected}


def test_an_address_of_no_interface_binds_nothing(monkeypatch):
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    bind_to_address("192.0.2.1")
    assert "GLOO_SOCKET_IFNAME" not in os.environ
