"""The nodes of a joined cluster: what each of them answers, and whether it can take part in a study.

A node that does not see the storage folder would make one of its own, and what is computed there would be lost; one
that runs other code or libraries computes other numbers. Such nodes are refused before anything is computed; those
that come later are checked by the trials that begin there.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from study.record.folder import StudyFolder, unwritable
from study.run import node_report
from study.run.capacity import alive, node_name
from study.run.cluster import Connection
from study.run.distributions import distributions
from study.run.node_answers import ANSWER_S, ask_each
from study.run.node_report import NodeReport
from trainables.errors import ConfigurationError, StudyStopped

T = TypeVar("T")
_NONCE = ".nonce"
_MOST_TOLD = 12


@dataclass(frozen=True)
class NodeCheck:
    """What every node has to see and to run.

    Attributes
    ----------
    file
        A file of the driver in the storage folder.
    own
        What the driver's machine reports.
    distributions
        Beside the libraries, the names of which versions are compared.
    encoder
        The folder of the study's encoder; empty where that is no folder.
    """

    file: str
    own: NodeReport
    distributions: tuple[str, ...] = ()
    encoder: str = ""

    def ask(self) -> NodeReport:
        """Return what the machine of this process reports."""
        return node_report.node_report(self.file, self.distributions, self.encoder)

    def faults(self, node: str, found: NodeReport) -> list[str]:
        """Return why a node cannot take part.

        Parameters
        ----------
        node
            Its address.
        found
            What it reports.
        """
        name, storage = f"Node {node} ({found.host})", Path(self.file).parent
        faults = []
        if found.nonce != self.own.nonce:
            faults.append(
                f"{name} does not share the storage folder {storage} with this machine ({self.own.host}): a file that "
                "was written here cannot be read there. What its trials compute would be lost. Mount the same file "
                "system at that path on every node (NFS, EFS, …), or give --storage a folder that all of them share."
            )
        elif not found.writes:
            faults.append(
                f"{name} sees the storage folder {storage}, but cannot write it. Give the user of its Ray processes "
                "the right to."
            )
        if not found.code:
            faults.append(
                f"{name} lacks the project's code. Install it there in the Python that runs its Ray (pip install "
                "--no-deps --editable, or the wheel), and start its Ray again."
            )
            return faults
        if found.encoder != self.own.encoder:
            what = "holds other files there" if found.encoder else "is missing there"
            faults.append(
                f"{name} has not the encoder of this machine ({self.own.host}): {self.encoder} {what}. Put the folder "
                "on storage that all nodes share, or a copy of it at that path on each."
            )
        differ = self._other_versions(found.versions)
        if found.code != self.own.code:
            differ.append(f"the project's code is {found.code} there and {self.own.code} here")
        if differ:
            faults.append(
                f"{name} runs other software than this machine ({self.own.host}): {'; '.join(differ)}. Trials would "
                "compute other numbers there. Bring the project and requirements.lock up to date on both, and start "
                "the node's Ray again."
            )
        return faults

    def _other_versions(self, there: Mapping[str, str | None]) -> list[str]:
        """Return in which versions a node differs.

        That one of the libraries is missing counts; what else is missing either is not needed there, or is told when
        it is.
        """
        phrases = {
            name: f"{name} is {version or 'missing'} there and {here or 'missing'} here"
            for name, version in there.items()
            for here in [self.own.versions.get(name)]
            if version != here and ((version and here) or name not in self.distributions)
        }
        told = sorted(phrases, key=lambda name: name in self.distributions)[:_MOST_TOLD]
        more = [f"so are {len(phrases) - len(told)} more"] if len(phrases) > len(told) else []
        return [*(phrases[name] for name in told), *more]

    def here(self) -> None:
        """Check the node of this process, before a trial begins on it.

        Raises
        ------
        StudyStopped
            The node cannot take part.
        """
        if self.file in _passed:
            return
        import ray

        if faults := self.faults(ray.util.get_node_ip_address(), self.ask()):
            raise StudyStopped(
                f"A node that joined the cluster cannot take part. {' '.join(faults)} Nothing that was recorded is "
                "lost: repair the node or take it away, and give the same command again."
            )
        _passed.add(self.file)


_passed: set[str] = set()  # what this process was checked by; it serves many trials


@contextmanager
def node_check(folder: StudyFolder, connection: Connection, encoder: str = "") -> Iterator[NodeCheck | None]:
    """Return what nodes are checked by, for as long as the block runs; None where no cluster was joined.

    The caller holds the lock on the study's folder: what earlier launches left there when they were killed is removed.

    Parameters
    ----------
    folder, connection, encoder
        As :func:`check_present_nodes` has them.
    """
    if not connection.joined:
        yield None
        return
    for left in folder.storage.glob(f".{folder.name}.*{_NONCE}"):
        left.unlink(missing_ok=True)
    with _written(folder, encoder) as check:
        yield check


def check_present_nodes(folder: StudyFolder, connection: Connection | None, encoder: str = "") -> None:
    """Check every node of a joined cluster that is there, before anything is computed.

    Parameters
    ----------
    folder, connection
        The study's folder, and the cluster that was joined, or None.
    encoder
        The study's encoder, which all nodes have to have where it is a folder.

    Raises
    ------
    ConfigurationError
        Some nodes cannot take part, or do not answer.
    """
    if connection is None or not connection.joined:
        return
    from ray import cloudpickle

    with _written(folder, encoder) as check:
        # By its text, not by its name: what a node lacks is to be told by that node.
        cloudpickle.register_pickle_by_value(node_report)
        try:
            ask = partial(node_report.node_report, check.file, check.distributions, check.encoder)
            answers = ask_nodes(ask, only_with_cpus=False)
        finally:
            cloudpickle.unregister_pickle_by_value(node_report)
        faults = [fault for node, found in answers for fault in check.faults(node, found)]
    if faults:
        raise ConfigurationError(faults)


@contextmanager
def _written(folder: StudyFolder, encoder: str) -> Iterator[NodeCheck]:
    """Write a file to the storage folder, and remove it at the end of the block."""
    storage = folder.storage
    made = [path for path in (storage, *storage.parents) if not path.exists()]
    file = storage / f".{folder.name}.{uuid.uuid4().hex}{_NONCE}"
    with unwritable(storage):
        storage.mkdir(parents=True, exist_ok=True)
        file.write_text(uuid.uuid4().hex, encoding="utf-8")
    try:
        names = tuple(name for name in distributions() if name not in node_report.LIBRARIES)
        place = encoder if Path(encoder).is_dir() else ""
        yield NodeCheck(str(file), node_report.node_report(str(file), names, place), names, place)
    finally:
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)
            for path in made:
                path.rmdir()  # refused for a folder that is in use by now


def ask_nodes(ask: Callable[[], T], *, only_with_cpus: bool = True) -> list[tuple[str, T]]:
    """Return what a function says on each node of the joined cluster, beside the node's address.

    Parameters
    ----------
    ask
        The question.
    only_with_cpus
        Ask only nodes that may run trials.

    Raises
    ------
    ConfigurationError
        A node that is part of the cluster does not answer.
    """
    nodes = [node for node in alive() if node["Resources"].get("CPU", 0) or not only_with_cpus]
    answers = ask_each(nodes, ask)
    silent = [(node, f"does not answer within {ANSWER_S:.0f} s") for node in answers.late]
    silent += [(node, f"cannot run anything ({why})") for node, why in answers.lost]
    present = {node["NodeID"] for node in alive()}  # the others were lost meanwhile
    faults = [
        f"Node {node_name(node)} {what}, although Ray counts it as alive. Look at the machine and at its Ray, or take "
        "the node out of the cluster."
        for node, what in silent
        if node["NodeID"] in present
    ]
    if faults:
        raise ConfigurationError(faults)
    return [(node["NodeManagerAddress"], answer) for node, answer in answers.answered]
