"""Ray: join the running cluster, or start one on this machine; and what each trial gets of it.

Ray and torch take seconds to load, so they are imported where they are used: a dry run needs no Ray.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from study.config.study import StudyConfig
from study.run import gpu, ray_watch
from study.run.address import OPEN_TO_ALL, check_address, demand_a_token, no_cluster
from study.run.capacity import HEAD, LEAST, Capacity, Demand, TrialLimit, alive, joined_capacity, offer, shown
from study.run.place import cluster_is_named, cpus_here
from study.run.signals import ENDING_SIGNALS
from trainables.errors import ConfigurationError, StudyStopped

if TYPE_CHECKING:
    import torch

_LEAVE_S = 15.0
_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "1",
    # The ledger is the record of a study; Tune need not write a second and a third one.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_WARN_THRESHOLD_S": "5",
    # The commands catch signals themselves.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True)
class TrialResources:
    """What one trial gets, and how many trials run at a time.

    Attributes
    ----------
    workers
        Data-parallel workers of a trial; 1 trains in the trial's own process.
    cpus, gpus
        Processors and GPUs of one worker.
    concurrency
        Number of trials at a time.
    sharing
        A sentence on how trials share GPUs or wait for them; empty where the study settles that itself.
    has_head
        Whether the head can be asked for by name.
    """

    workers: int
    cpus: float
    gpus: float
    concurrency: int
    sharing: str = ""
    has_head: bool = False

    def of_trial_process(self) -> dict[str, float]:
        """Return the resources of the Tune trial itself.

        With a worker group this trial only waits. Tune refuses a trial without any resource, and a share of a CPU
        would leave too little for a machine's last worker, so the trial asks for a little memory, and for a place on
        the head: a lost node is then never that of a trial which waits for workers elsewhere. Ray Train's controller
        goes where the trial is.
        """
        if self.workers > 1:
            return {"memory": 2.0**20, **({HEAD: LEAST} if self.has_head else {})}
        return {"CPU": self.cpus, **({"GPU": self.gpus} if self.gpus else {})}

    def of_worker(self) -> dict[str, float]:
        """Return the resources of one worker of a group."""
        return {"CPU": self.cpus, **({"GPU": self.gpus} if self.gpus else {})}

    @property
    def demand(self) -> Demand:
        """What all workers of a trial ask for."""
        return Demand(self.of_worker(), self.workers)


@dataclass(frozen=True)
class Connection:
    """Where the study runs.

    Attributes
    ----------
    joined
        True where a running cluster was joined, which may grow when trials wait for it.
    sentence
        A sentence for the user about it.
    counted
        Resources by name, if they were counted without Ray; if None, Ray is asked.
    capacity
        What a joined cluster has and may have.
    """

    joined: bool
    sentence: str
    counted: Mapping[str, float] | None = None
    capacity: Capacity | None = None

    @property
    def total(self) -> Mapping[str, float]:
        """Resources of all nodes by name: ``CPU``, and ``GPU`` where there are any."""
        if self.counted is not None:
            return self.counted
        import ray

        total: Mapping[str, float] = ray.cluster_resources()
        return total


def quieten() -> None:
    """Set the environment variables that keep Ray quiet; call it before the first use of Ray."""
    os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
    logging.getLogger("ray").setLevel(logging.ERROR)


def join_running_cluster() -> Connection | None:
    """Join the cluster that ``RAY_ADDRESS`` names or that ``ray start`` / ``ray up`` started here, if any.

    Raises
    ------
    ConfigurationError
        ``RAY_ADDRESS`` names a cluster that cannot be reached, or the cluster demands a token that is not here.
    """
    address = os.environ.get("RAY_ADDRESS")
    if not cluster_is_named():
        return None
    is_open = check_address(address)
    ray_watch.outlive_the_head()
    import ray

    try:
        with ENDING_SIGNALS.kept():
            ray.init(address=address or "auto", logging_level=logging.ERROR, log_to_driver=False)
    except ConnectionError as error:
        if not address:
            return None  # the file outlived its cluster
        raise no_cluster(address, error) from error
    except RuntimeError as error:
        if "mismatch" not in str(error):
            raise
        raise ConfigurationError(
            f"The Ray cluster at {address or 'this machine'} runs other versions of Ray or Python than this command: "
            f"{' '.join(str(error).split())} Install requirements.lock, with one version of Python, on both."
        ) from error
    # On a lost node Ray prints the end of its log to standard output; study.run.node_watch says a line of its own.
    ray._private.worker._worker_logs_enabled = False
    sentence = (
        f"Joined the running Ray cluster ({len(alive())} nodes, {_inventory(ray.cluster_resources())})."
    )
    if is_open:
        sentence += f"\n{OPEN_TO_ALL}"
    return Connection(True, sentence, capacity=joined_capacity())


def start_here(config: StudyConfig) -> Connection:
    """Start Ray on this machine.

    Raises
    ------
    StudyStopped
        It did not start in time.
    """
    demand_a_token()
    import ray

    try:
        with ENDING_SIGNALS.kept():
            ray.init(
                address="local",
                num_cpus=cpus_here(),
                # The dashboard serves the State API that Tune-over-Train needs to clean up a worker group.
                include_dashboard=config.workers_per_trial > 1,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
    except Exception as error:  # Ray has no class of its own for this
        if "timed out during startup" not in str(error):
            raise
        raise StudyStopped(
            "Ray did not start in time on this machine, which is busy with other work, or short of memory. Nothing was "
            "begun; give the same command again when it has room."
        ) from error
    return Connection(False, f"Started Ray on this machine ({_inventory(ray.cluster_resources())}).")


def count_here() -> Connection:
    """Return what Ray would find on this machine, without starting it."""
    total = {"CPU": float(cpus_here())}
    if gpu.torch_has_gpu():
        import torch

        total["GPU"] = float(torch.cuda.device_count())
    return Connection(False, f"Counted without starting Ray: {_inventory(total)}.", total)


def leave(code: int) -> None:
    """Leave the cluster, or end the Ray that was started here; do nothing if Ray was never loaded.

    Parameters
    ----------
    code
        The exit code of this process, which ends here where Ray lacks a process that its own way out waits for. What
        it started here ends with it.
    """
    if "ray" not in sys.modules:
        return
    import ray

    if ray.is_initialized():
        if ray_watch.is_lost():
            _end_process(code)
        late = threading.Timer(_LEAVE_S, _end_process, [code])
        late.daemon = True
        late.start()
        ray.shutdown()
        late.cancel()


def _end_process(code: int) -> NoReturn:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def has_gpus(connection: Connection | None) -> bool:
    """Return whether there are GPUs at this moment: in the joined cluster, or, without one, on this machine."""
    if connection is not None:
        return connection.total.get("GPU", 0) > 0
    return gpu.torch_has_gpu()


def may_get_gpus(connection: Connection | None) -> bool | None:
    """Return whether there are GPUs, or an autoscaler that may start nodes with some.

    Parameters
    ----------
    connection
        The cluster that was joined; None: this machine.

    Returns
    -------
    bool or None
        None where no GPU is there and it cannot be told what the cluster's autoscaler may start.
    """
    if has_gpus(connection):
        return True
    capacity = None if connection is None else connection.capacity
    if capacity is None or capacity.autoscaler is None:
        return False
    autoscaler = capacity.autoscaler
    if autoscaler.types is None:
        return False if capacity.is_full else None
    return autoscaler.most != 0 and any(
        kind.most and kind.resources.get("GPU", 0) for kind in autoscaler.types
    )


def trains_on_gpus(config: StudyConfig, connection: Connection | None) -> bool:
    """Return whether a study's trials train on GPUs: as the study says, or else wherever there may be GPUs.

    On a joined cluster that is true even while no GPU node is running: trials wait until one is started.
    """
    if config.gpus_per_trial is not None:
        return config.gpus_per_trial > 0
    return (connection is not None and connection.joined) or gpu.torch_has_gpu()


def gpu_precision(config: StudyConfig, connection: Connection | None) -> torch.dtype | None:
    """Return the precision in which trials compute fast on all GPUs there are; None where none has been started."""
    if not has_gpus(connection):
        return None
    return gpu.find_gpu(config, joined=connection is not None and connection.joined).precision


def _gpus_of_a_worker(
    config: StudyConfig, total: Mapping[str, float], connection: Connection
) -> tuple[float, str]:
    """Return the GPUs of one worker, and a sentence that explains the number where the study does not set it."""
    if config.gpus_per_trial is not None:
        return config.gpus_per_trial, ""
    gpus = total.get("GPU", 0)
    if not gpus and connection.joined:
        return 1.0, (
            "The cluster has no GPU at this moment: every worker waits for one whole GPU, until the cluster starts "
            "GPU nodes. If you launch again once there is a GPU, trials share it as its memory allows. To train on "
            "CPUs, give --set gpus_per_trial=0."
        )
    if not gpus:
        return 0.0, ""
    if config.workers_per_trial > 1:
        return 1.0, ""
    return gpu.gpu_share(config, gpu.find_gpu(config, joined=connection.joined), total.get("CPU", 0) / gpus)


def _inventory(resources: Mapping[str, float]) -> str:
    gpus = resources.get("GPU", 0)
    return f"{resources.get('CPU', 0):g} CPUs" + (f", {gpus:g} GPUs" if gpus else "")


def trial_resources(config: StudyConfig, connection: Connection) -> TrialResources:
    """Return what a trial gets of the connected cluster.

    Raises
    ------
    ConfigurationError
        Not even one trial fits, nor ever will.
    """
    total, workers = connection.total, config.workers_per_trial
    gpus, sharing = _gpus_of_a_worker(config, total, connection)
    one = TrialResources(workers, config.cpus_per_trial, gpus, 1, sharing, HEAD in total)
    if connection.capacity is not None:
        _check_that_one_fits(one, connection.capacity)
        return replace(one, concurrency=TrialLimit(connection.capacity, one.demand, config.concurrency)())
    most = one.demand.slots([total])
    if most < 1 and not connection.joined:
        raise ConfigurationError(
            f"A trial needs {workers} x ({config.cpus_per_trial:g} CPUs, {gpus:g} GPUs), but "
            f"there are {_inventory(total)}. Lower cpus_per_trial, gpus_per_trial or workers_per_trial."
        )
    if config.concurrency is None:
        return replace(one, concurrency=max(1, most))
    return replace(
        one, concurrency=config.concurrency if connection.joined else min(config.concurrency, most)
    )


def _check_that_one_fits(trial: TrialResources, capacity: Capacity) -> None:
    """Refuse a trial that fits neither on the nodes that are there nor on those that the autoscaler may start.

    Where nodes are started by hand, they are waited for a while, see :mod:`study.run.waiting`.
    """
    autoscaler = capacity.autoscaler
    if autoscaler is None or capacity.slots(trial.demand):
        return
    kinds = [f"{kind.most} x ({shown(kind.resources)})" for kind in autoscaler.types or () if kind.most]
    possible = f"{'; '.join(kinds)}, {autoscaler.most} in all" if kinds else "no further ones"
    raise ConfigurationError(
        f"No trial can ever run on this cluster: a trial asks for {trial.workers} x ({shown(trial.of_worker())}), "
        f"{offer(capacity.nodes())}, and its autoscaler may start {possible}. Lower what a trial asks for with --set "
        "cpus_per_trial, --set gpus_per_trial (0 trains on CPUs) or --workers-per-trial, or give the cluster larger "
        "nodes."
    )
