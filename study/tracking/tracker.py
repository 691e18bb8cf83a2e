"""The one place that talks to MLflow: a projection of the ledger, which only the driver writes.

MLflow is never told anything that the ledger does not hold, so it may go away, come back, be emptied, or be replaced
by another one at the next launch: the tracker compares what MLflow holds with what the ledger says
(:mod:`study.tracking.projection`) and writes the difference. The ledger is the only queue of what is still to write.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from study.record.ledger import Ledger, TrialRecord
from study.tracking.addition import NOTE, Addition, described
from study.tracking.experiment_page import (
    Launch,
    corpus_input,
    experiment_tags,
    parent_tags,
    shared_tags,
    view_key,
)
from study.tracking.projection import LONGEST_TAG, VALUES, RunView, cut, renaming, same_value, view_of
from study.tracking.refusals import Refusals, attach, is_refusal, send
from study.tracking.uri import open_client, reason, shown_uri

STATUS = {"running": "RUNNING", "failed": "FAILED"}  # any other end is FINISHED
_ENTITIES_PER_BATCH = 800  # MLflow takes 1,000
_WRITE_EVERY_S = 1.0  # replicates that finish within this time are written together
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 60.0  # between attempts to reach an MLflow that is away
_RUNS_PER_PAGE = 1000
_COUNT = "values_logged"
_IDENTITY = ("study_id", "trial_id", "mlflow.parentRunId")
# Without this tag MLflow opens its pages for traces of language models.
_FOR_TRAINING = "workflowType=machine_learning"


@dataclass
class _Run:
    """What MLflow holds of a run; ``points`` is None until it is needed and read."""

    run_id: str
    status: str
    tags: dict[str, str] = field(default_factory=dict)
    params: set[str] = field(default_factory=set)
    latest: dict[str, float] = field(default_factory=dict)
    points: set[tuple[str, int]] | None = None
    has_corpus: bool = False


class Tracker:
    """Keep MLflow in step with the ledger.

    Parameters
    ----------
    uri
        MLflow tracking URI; a database is migrated to the installed MLflow's schema here, in the driver.
    launch
        Facts of the launch.
    ledger
        The study's ledger.
    say
        Called with the few lines that a user has to know; default: prints to standard error.
    """

    def __init__(
        self, uri: str, launch: Launch, ledger: Ledger, say: Callable[[str], None] | None = None
    ) -> None:
        self.uri = uri
        self._launch = launch
        self._ledger = ledger
        self._say = say or (lambda line: print(line, file=sys.stderr))
        self._client: Any = None
        self._experiment_id = ""
        self._parent: _Run | None = None
        self._runs: dict[str, _Run] = {}
        self._due: dict[str, None] = {}  # trials to be written, in order
        self._artifacts: dict[Path, None] = {}
        self._added: dict[str, Addition] = {}  # to be written, by trial
        self._closing = False
        self._written_at = -math.inf
        self._lost: Exception | None = None
        self._refusals = Refusals()
        self._pause, self._retry_at = _FIRST_PAUSE_S, -math.inf
        if sentence := renaming(launch.corpus["classes"]):
            self._say(sentence)
        self.sync()

    @property
    def behind(self) -> bool:
        """True while MLflow is away and lacks something that the ledger holds."""
        return self._lost is not None

    def update(self, trial: TrialRecord) -> None:
        """Note that a trial started, finished a replicate, or ended."""
        self._due[trial.trial_id] = None
        run = self._runs.get(trial.trial_id)
        changed = run is None or run.tags.get("state") != trial.state
        if changed or time.monotonic() - self._written_at >= _WRITE_EVERY_S:
            self._write()

    def sync(self) -> None:
        """Bring every run up to date with the ledger."""
        self._due.update(dict.fromkeys(self._ledger.trials))
        self._retry_at = -math.inf
        self._write()

    def log_artifacts(self, paths: Sequence[Path]) -> None:
        """Attach files or folders to the parent run, replacing those of the same name.

        Raises
        ------
        FileNotFoundError
            A path does not exist.
        """
        for path in paths:
            path.stat()
        self._artifacts.update(dict.fromkeys(paths))
        self._write()

    def add_to_run(self, trial_id: str, addition: Addition) -> None:
        """Add to a trial's run what is known of it beside its replicates."""
        self._added[trial_id] = addition
        self._write()

    def close(self, status: str = "FINISHED") -> None:
        """Bring MLflow up to date a last time and leave nothing RUNNING.

        Parameters
        ----------
        status
            ``FINISHED``, ``FAILED`` or ``KILLED``, for the parent. Trials that are not done become ``KILLED``;
            the next launch reopens them.
        """
        self._closing = True
        self.sync()
        if self._lost is None and self._parent is not None:
            with self._watched():
                self._set_status(self._parent, status, None)
        where = f"Nothing is lost: the results are in {self._ledger.path.parent}."
        if self._lost is not None:
            lets_in = "lets the study in" if is_refusal(self._lost, of_sender=True) else "answers"
            self._say(
                f"MLflow at {shown_uri(self.uri)} is not up to date ({reason(self.uri, self._lost)}). {where} Run the "
                f"same command again when MLflow {lets_in}: it adds what is missing."
            )
        if refused := self._refusals.sentence():
            self._say(f"MLflow at {shown_uri(self.uri)} holds all but what it {refused}. {where}")

    def address(self, server: str) -> str:
        """Return where a browser shows the runs sorted by gain, on a server such as ``http://127.0.0.1:5000``."""
        query = f"viewStateShareKey={view_key(self._launch.objective)}&{_FOR_TRAINING}"
        return f"{server.rstrip('/')}/#/experiments/{self._experiment_id}/runs?{query}"

    # ---- reaching MLflow ------------------------------------------------------------------------------------

    def _write(self) -> None:
        if self._lost is not None and time.monotonic() < self._retry_at:
            return
        with self._watched():
            if self._parent is None:
                self._connect()
            for trial_id in list(self._due):
                self._bring(view_of(self._ledger.trials[trial_id], self._ledger, self._launch.objective))
                del self._due[trial_id]
            for path in list(self._artifacts):
                attach(partial(self._log_artifact, path), f"the artifact {path.name}", self._refusals)
                del self._artifacts[path]
            for trial_id in list(self._added):
                self._add(self._runs[trial_id], self._added[trial_id])
                del self._added[trial_id]
            self._written_at = time.monotonic()
            if self._lost is not None:
                self._lost, self._pause = None, _FIRST_PAUSE_S
                self._say(f"MLflow at {shown_uri(self.uri)} answers again and is up to date.")

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """Turn a failure of MLflow into being behind; what MLflow holds is then read anew."""
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError) as error:
            if self._lost is None:
                refuses = is_refusal(error, of_sender=True)
                self._say(
                    f"MLflow at {shown_uri(self.uri)} {'refuses the study' if refuses else 'failed'} "
                    f"({reason(self.uri, error)}). The study goes on; MLflow is brought up to date when it "
                    f"{'lets it in' if refuses else 'answers again'}."
                )
            self._lost, self._parent, self._runs = error, None, {}
            self._due.update(dict.fromkeys(self._ledger.trials))
            self._retry_at = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)

    def _connect(self) -> None:
        """Find or create the experiment and the parent run, and read what MLflow holds of the study."""
        self._client = self._client or open_client(self.uri)
        self._experiment_id = self._find_experiment()
        parent: _Run | None = None
        self._runs = {}
        for run in self._search():
            trial_id = run.tags.get("trial_id")
            if trial_id is None and parent is None:
                parent = run
            elif trial_id is not None and trial_id not in self._runs:
                self._runs[trial_id] = run
            else:
                self._client.delete_run(run.run_id)  # created by a request whose answer was lost
        tags = parent_tags(self._launch)
        if parent is None:
            parent = self._create(f"{self._launch.study} {self._launch.preset}", tags, self._started())
        self._log(parent, tags=tags)
        self._log_corpus(parent)
        if not self._closing:
            self._set_status(parent, "RUNNING", None)
        self._parent = parent

    def _find_experiment(self) -> str:
        name, artifacts = self._launch.study, self._launch.artifacts
        experiment = self._client.get_experiment_by_name(name)
        tags = experiment_tags(self._launch.objective)
        if experiment is None:
            location = None if artifacts is None else (artifacts.absolute() / name).as_uri()
            return str(self._client.create_experiment(name, artifact_location=location, tags=tags))
        if experiment.lifecycle_stage == "deleted":
            self._client.restore_experiment(experiment.experiment_id)
            self._say(f"The MLflow experiment {name!r} had been deleted; it is restored with its runs.")
        for key, value in tags.items():
            if key not in experiment.tags:  # a user's own note or view stays
                self._client.set_experiment_tag(experiment.experiment_id, key, value)
        return str(experiment.experiment_id)

    def _search(self) -> Iterator[_Run]:
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment_id],
                f"tags.study_id = '{self._launch.study_id}'",
                max_results=_RUNS_PER_PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            for run in page:
                data = run.data
                yield _Run(
                    run_id=run.info.run_id,
                    status=run.info.status,
                    tags=dict(data.tags),
                    params=set(data.params),
                    latest=dict(data.metrics),
                    has_corpus=bool(run.inputs and run.inputs.dataset_inputs),
                )
            token = page.token
            if not token:
                return

    # ---- one run --------------------------------------------------------------------------------------------

    def _bring(self, view: RunView) -> None:
        """Write what MLflow lacks of a trial."""
        assert self._parent is not None
        from mlflow.entities import Metric

        interrupted = self._closing and view.state == "running"
        tags = {**shared_tags(self._launch), **view.tags, "mlflow.parentRunId": self._parent.run_id}
        if interrupted:
            tags["state"] = "interrupted"
        run = self._runs.get(view.tags["trial_id"])
        if run is not None and "error" in run.tags:
            tags.setdefault("error", "")  # clears an earlier attempt's error: a batch cannot remove a tag
        if run is None:
            run = self._runs[view.tags["trial_id"]] = self._create(view.name, tags, view.started)
        if run.points is None:
            run.points = self._logged_points(run, view)
        now = round(time.time() * 1000)
        # MLflow's run page keeps the order in which metrics arrived: results first, single replicates after them.
        metrics = [
            Metric(key, value, now, step)
            for key, (value, step) in view.means.items()
            if key not in run.latest or not same_value(run.latest[key], value)
        ]
        metrics += [
            Metric(key, value, timestamp, step)
            for (key, step), (value, timestamp) in view.points.items()
            if (key, step) not in run.points
        ]
        self._log(run, metrics, view.params, tags | {_COUNT: str(len(view.points))})
        self._log_corpus(run)
        self._set_status(run, "KILLED" if interrupted else STATUS.get(view.state, "FINISHED"), view.finished)
        if view.state != "running":
            run.points = None  # seldom needed again, and large

    def _create(self, name: str, tags: Mapping[str, str], started: int) -> _Run:
        """Create a run with the tags by which it is found again; the others could be refused, and the run with them."""
        identity = {key: tags[key] for key in _IDENTITY if key in tags}
        created = self._client.create_run(
            self._experiment_id, start_time=started, tags=identity, run_name=name
        )
        return _Run(created.info.run_id, created.info.status, tags=identity, points=set())

    def _logged_points(self, run: _Run, view: RunView) -> set[tuple[str, int]]:
        """Return which replicates' values MLflow holds.

        Once all are written, their number is written as a tag. If the tag does not match, a driver ended in between,
        and every series is read.
        """
        if run.tags.get(_COUNT) == str(len(view.points)):
            return set(view.points)
        return {
            (name, point.step)
            for name in run.latest
            if name.startswith(VALUES)
            for point in self._client.get_metric_history(run.run_id, name)
        }

    def _log(
        self,
        run: _Run,
        metrics: Sequence[Any] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log what is new, in one batch if it fits; the tags come last."""
        from mlflow.entities import Param, RunTag

        new_params = {key: value for key, value in (params or {}).items() if key not in run.params}
        new_tags = {
            key: cut(value, LONGEST_TAG)
            for key, value in (tags or {}).items()
            if run.tags.get(key) != cut(value, LONGEST_TAG)
            and not (key == NOTE and key in run.tags)  # a user's own note stays
        }
        if not (metrics or new_params or new_tags):
            return
        entities = [
            *metrics,
            *(Param(key, value) for key, value in new_params.items()),
            *(RunTag(key, value) for key, value in new_tags.items()),
        ]
        probe = RunTag("study_id", self._launch.study_id)
        for start in range(0, len(entities), _ENTITIES_PER_BATCH):
            send(
                self._client, run.run_id, entities[start : start + _ENTITIES_PER_BATCH], self._refusals, probe
            )
        run.params |= new_params.keys()
        run.tags |= new_tags
        if run.points is not None:
            run.points |= {(m.key, m.step) for m in metrics if m.key.startswith(VALUES)}
        run.latest |= {m.key: m.value for m in metrics}

    def _log_corpus(self, run: _Run) -> None:
        if not run.has_corpus:
            log = partial(self._client.log_inputs, run.run_id, [corpus_input(self._launch)])
            attach(log, "the description of the corpus", self._refusals)
            run.has_corpus = True

    def _log_artifact(self, path: Path) -> None:
        assert self._parent is not None
        if path.is_dir():
            self._client.log_artifacts(self._parent.run_id, str(path), artifact_path=path.name)
        else:
            self._client.log_artifact(self._parent.run_id, str(path))

    def _add(self, run: _Run, addition: Addition) -> None:
        from mlflow.entities import Metric

        now, known = round(time.time() * 1000), run.latest
        new = {n: v for n, v in addition.metrics.items() if n not in known or not same_value(known[n], v)}
        self._log(run, [Metric(name, value, now, 0) for name, value in new.items()])
        notes = described(addition.note, shared_tags(self._launch).get(NOTE, ""), run.tags)
        for name, value in {**addition.tags, **notes}.items():
            self._client.set_tag(run.run_id, name, value)
        if folder := addition.folder:
            upload = partial(
                self._client.log_artifacts, run.run_id, str(folder), artifact_path=addition.artifact
            )
            attach(upload, f"the artifact {addition.artifact}", self._refusals)

    def _set_status(self, run: _Run, status: str, finished: int | None) -> None:
        if run.status == status:
            return
        if status == "RUNNING":
            self._client.update_run(run.run_id, status=status)
        else:
            self._client.set_terminated(run.run_id, status=status, end_time=finished)
        run.status = status

    def _started(self) -> int:
        first = min((trial.started for trial in self._ledger.trials.values()), default=time.time())
        return round(first * 1000)
