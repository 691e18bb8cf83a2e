"""A small study to track, an MLflow in memory, and what a store holds."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from study.record.ledger import Ledger
from study.tracking.experiment_page import Launch
from study.tracking.uri import open_client
from trainables.trial import ReplicateRecord

CORPUS = {
    "source": "made-up paragraphs",
    "digest": "0123456789abcdef",
    "rows": 10,
    "groups": 4,
    "classes": {"a": 8, "b": 2},
    "is_sample": False,
    "notice": "",
}


def launch(**changes) -> Launch:
    values = {
        "study": "adme",
        "study_id": "one",
        "preset": "laptop",
        "encoder": "minilm",
        "objective": "val/macro_f1",
        "corpus": CORPUS,
        "versions": {"torch": "2.13.0"},
        "git_commit": "abc1234",
    }
    return Launch(**(values | changes))


def replicate(index: int, value: float, **metrics: float) -> ReplicateRecord:
    return ReplicateRecord(index, {"val/macro_f1": value, **metrics}, 2.0, {"stage2_steps": 5.0})


def small_study(path: Path) -> Ledger:
    """Vanilla and two trials at one ratio, one of them still running."""
    ledger = Ledger(path / "ledger.jsonl")
    ledger.start_trial(
        "v", "reference", "vanilla", 0.1, {"arm": "vanilla", "operator": "aeda", "batch_size": 16}
    )
    ledger.start_trial("t", "search", "prefinetune", 0.1, {"operator": "aeda", "strength": 0.1})
    ledger.start_trial("u", "search", "prefinetune", 0.1, {"operator": "eda", "strength": 0.3})
    for index, (ours, theirs) in enumerate([(0.50, 0.40), (0.55, 0.47), (0.61, 0.50)]):
        ledger.add_replicate("v", replicate(index, theirs))
        ledger.add_replicate("t", replicate(index, ours))
    ledger.add_replicate("u", replicate(0, 0.3))
    ledger.finish_trial("v", "complete")
    ledger.finish_trial("t", "complete")
    return ledger


def runs_of(uri: str, study: str = "adme") -> dict[str | None, object]:
    client = open_client(uri)
    found = client.search_runs([client.get_experiment_by_name(study).experiment_id], max_results=1000)
    by_trial = {run.data.tags.get("trial_id"): run for run in found}
    assert len(by_trial) == len(found), "a run was made twice"
    return by_trial


def state_of(uri: str) -> dict[str | None, object]:
    """Everything about the runs that two stores of one ledger must agree on."""
    client = open_client(uri)
    state = {}
    for trial_id, run in runs_of(uri).items():
        tags = {k: v for k, v in run.data.tags.items() if k != "mlflow.parentRunId"}
        history = {
            key: sorted((p.step, p.value) for p in client.get_metric_history(run.info.run_id, key))
            for key in run.data.metrics
            if key.startswith("values/")
        }
        latest = {k: v for k, v in run.data.metrics.items() if not k.startswith("values/")}
        state[trial_id] = (run.info.status, run.info.run_name, tags, run.data.params, history, latest)
    return state


class FakeClient:
    """MLflow's store in memory, whose calls fail as scheduled: before they act, or after, the answer lost."""

    def __init__(self) -> None:
        self.runs: dict[str, SimpleNamespace] = {}
        self.experiment: SimpleNamespace | None = None
        self.schedule = iter(())
        self.calls = 0

    def __getattribute__(self, name):
        method = object.__getattribute__(self, name)
        if name == "content" or name.startswith("_") or not callable(method):
            return method

        def call(*args, **kwargs):
            from mlflow.exceptions import MlflowException

            self.calls += 1
            fate = next(self.schedule, "answers")
            if fate == "is away":
                raise MlflowException("API request failed with exception: Max retries exceeded")
            answer = method(*args, **kwargs)
            if fate == "loses its answer":
                raise MlflowException("API request failed with exception: Read timed out")
            return answer

        return call

    def get_experiment_by_name(self, name):
        return self.experiment

    def create_experiment(self, name, artifact_location, tags):
        self.experiment = SimpleNamespace(experiment_id="1", tags=dict(tags), lifecycle_stage="active")
        return "1"

    def set_experiment_tag(self, experiment_id, key, value):
        self.experiment.tags[key] = value

    def search_runs(self, experiment_ids, filter_string, max_results, order_by, page_token):
        page = type("Page", (list,), {"token": None})()
        page.extend(self._seen_from_outside(run) for run in self.runs.values())
        return page

    def _seen_from_outside(self, run):
        latest = {key: max(points)[2] for key, points in run.metrics.items()}
        return SimpleNamespace(
            info=SimpleNamespace(run_id=run.run_id, status=run.status),
            data=SimpleNamespace(tags=dict(run.tags), params=dict(run.params), metrics=latest),
            inputs=SimpleNamespace(dataset_inputs=list(run.datasets)),
        )

    def create_run(self, experiment_id, start_time, tags, run_name):
        run_id = f"run{len(self.runs)}"
        self.runs[run_id] = SimpleNamespace(
            run_id=run_id, status="RUNNING", tags=dict(tags), params={}, metrics={}, datasets=[]
        )
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id, status="RUNNING"))

    def log_batch(self, run_id, metrics=(), params=(), tags=()):
        run = self.runs[run_id]
        for param in params:
            assert param.key not in run.params, "params cannot be logged twice"
            run.params[param.key] = param.value
        for m in metrics:
            run.metrics.setdefault(m.key, []).append((m.step, m.timestamp, m.value))
        run.tags.update({tag.key: tag.value for tag in tags})

    def get_metric_history(self, run_id, key):
        return [SimpleNamespace(step=step, value=v) for step, _, v in self.runs[run_id].metrics[key]]

    def log_inputs(self, run_id, datasets):
        self.runs[run_id].datasets = datasets

    def update_run(self, run_id, status):
        self.runs[run_id].status = status

    def set_terminated(self, run_id, status, end_time):
        self.runs[run_id].status = status

    def delete_run(self, run_id):
        del self.runs[run_id]

    def content(self):
        return {
            run.tags.get("trial_id"): (
                run.status,
                {k: v for k, v in run.tags.items() if k != "mlflow.parentRunId"},
                run.params,
                {
                    key: sorted((s, v) for s, _, v in points) if key.startswith("values/") else max(points)[2]
                    for key, points in run.metrics.items()
                },
            )
            for run in self.runs.values()
        }
