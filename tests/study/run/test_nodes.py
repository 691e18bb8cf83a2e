"""Nodes that do not share the storage, or run other software, take no part in a study, whenever they join."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ray

from study.record.folder import StudyFolder
from study.run import cluster, nodes
from study.run.cluster import Connection
from study.run.node_report import NodeReport, code_digest, node_report
from study.run.nodes import NodeCheck, check_present_nodes, node_check
from trainables.errors import ConfigurationError, StudyStopped

JOINED = Connection(True, "")
OWN = NodeReport("head", "secret", True, {"python": "3.11", "torch": "2.13.0"}, "c0de")
CHECK = NodeCheck("/mnt/study/.toy.1.nonce", OWN)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, []),
        ({"nonce": None}, [("does not share the storage folder /mnt/study", "Mount the same file system")]),
        ({"nonce": "of another"}, [("does not share the storage folder",)]),
        ({"writes": False}, [("cannot write it",)]),
        ({"code": ""}, [("lacks the project's code",)]),
        ({"code": "0ld"}, [("the project's code is 0ld there and c0de here",)]),
        ({"versions": {"python": "3.12", "torch": None}},
         [("python is 3.12 there and 3.11 here", "torch is missing there and 2.13.0 here")]),
        ({"nonce": None, "code": "0ld"}, [("does not share",), ("the project's code",)]),
    ],
)  # fmt: skip
def test_what_a_node_lacks_is_told_with_its_name(found, said):
    faults = CHECK.faults("10.0.0.2", OWN._replace(host="gpu-2", **found))
    assert len(faults) == len(said)
    for fault, parts in zip(faults, said, strict=True):
        for part in ("Node 10.0.0.2 (gpu-2)", *parts):
            assert part in fault


def test_a_machine_reports_itself(tmp_path):
    (tmp_path / "nonce").write_text("secret")
    report = node_report(str(tmp_path / "nonce"))
    assert report.nonce == "secret" and report.writes
    assert report.versions["ray"] == ray.__version__ and None not in report.versions.values()
    assert report.code == code_digest() != ""


def test_the_digest_follows_the_sources(tmp_path, monkeypatch):
    for package in ("study", "trainables"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    found = {name: [str(tmp_path / name)] for name in ("study", "trainables")}

    class Spec:
        def __init__(self, name):
            self.submodule_search_locations = found[name]

    monkeypatch.setattr("importlib.util.find_spec", Spec)
    before = code_digest()
    (tmp_path / "study" / "__pycache__").mkdir()
    (tmp_path / "study" / "__pycache__" / "a.pyc").write_bytes(b"1")
    assert code_digest() == before
    (tmp_path / "study" / "a.py").write_text("1")
    assert code_digest() != before
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert code_digest() == ""


def test_a_file_is_there_for_as_long_as_a_launch_and_a_killed_ones_is_removed(tmp_path):
    folder = StudyFolder(tmp_path / "new" / "storage", "toy")
    with node_check(folder, Connection(False, "")) as check:
        assert check is None and not folder.storage.exists()
    with node_check(folder, JOINED) as check:
        file = Path(check.file)
        assert file.read_text() == check.own.nonce
        left = file.with_name(".toy.killed.nonce")
        left.touch()
        other = file.with_name(".another.1.nonce")
        other.touch()
    assert not file.exists() and left.exists()
    with node_check(folder, JOINED):
        assert not left.exists()
    assert [*folder.storage.iterdir()] == [other]
    other.unlink()
    folder.storage.rmdir()
    folder.storage.parent.rmdir()
    with node_check(folder, JOINED):
        pass
    assert not (tmp_path / "new").exists()


def test_a_trial_on_a_node_that_came_later_checks_it_once_a_process(tmp_path, monkeypatch):
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "10.0.0.3")
    monkeypatch.setattr(nodes.node_report, "_VISIBLE_S", 0.0)
    with node_check(StudyFolder(tmp_path, "toy"), JOINED) as check:
        elsewhere = NodeCheck(str(tmp_path / "private"), check.own)
        for _ in range(2):
            with pytest.raises(StudyStopped, match=r"Node 10\.0\.0\.3 .* does not share the storage folder"):
                elsewhere.here()
        check.here()
    check.here()


@pytest.fixture(scope="module")
def two_nodes():
    """A head without processors and a worker: a cluster of two Ray nodes on this machine."""
    from ray.cluster_utils import Cluster

    cluster.quieten()
    nodes_of_ray = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes_of_ray.add_node(num_cpus=1)
    ray.init(address=nodes_of_ray.address, log_to_driver=False)
    yield nodes_of_ray
    ray.shutdown()
    nodes_of_ray.shutdown()


@pytest.mark.slow
def test_every_node_is_asked_and_one_with_other_libraries_is_refused(two_nodes, tmp_path):
    folder = StudyFolder(tmp_path / "storage", "toy")
    check_present_nodes(folder, JOINED)
    assert not folder.storage.exists()
    assert len(nodes.ask_nodes(lambda: 1, only_with_cpus=False)) == 2
    assert len(nodes.ask_nodes(lambda: 1)) == 1
    old = tmp_path / "nlpaug-1.0.dist-info"
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: nlpaug\nVersion: 1.0\n")
    two_nodes.add_node(num_cpus=1, env_vars={"PYTHONPATH": str(tmp_path)})
    with pytest.raises(ConfigurationError) as refused:
        check_present_nodes(folder, JOINED)
    (fault,) = refused.value.faults
    assert f"nlpaug is 1.0 there and {importlib.metadata.version('nlpaug')} here" in fault


# A node as `ray start --address` makes it, which would also note the cluster's address for every later driver.
_NODE = """
import sys, time
from ray._private.node import Node
from ray._private.parameter import RayParams
given = RayParams(gcs_address=sys.argv[1], num_cpus=1, object_store_memory=80 * 2**20, include_log_monitor=False)
Node(given, head=False, shutdown_at_exit=True, spawn_reaper=True)
time.sleep(600)
"""


@pytest.fixture
def node_of_its_own(two_nodes, tmp_path):
    """A folder, and a further node on which that folder is another one, as where nothing was mounted."""
    storage = tmp_path / "storage"
    storage.mkdir()
    alone = ["unshare", "--mount", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("mount namespaces are not allowed here")
    start = f"mount -t tmpfs none '{storage}' && exec '{sys.executable}' -c '{_NODE}' {two_nodes.address}"
    before = len(ray.nodes())
    process = subprocess.Popen([*alone, start])
    try:
        deadline = time.monotonic() + 120
        while len(ray.nodes()) == before and time.monotonic() < deadline:
            time.sleep(0.5)
        yield storage
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.slow
def test_a_node_that_does_not_share_the_storage_is_refused_before_anything_is_computed(node_of_its_own):
    with pytest.raises(ConfigurationError) as refused:
        check_present_nodes(StudyFolder(node_of_its_own, "toy"), JOINED)
    told = [fault for fault in refused.value.faults if "does not share the storage folder" in fault]
    assert len(told) == 1 and str(node_of_its_own) in told[0]
    assert [*node_of_its_own.iterdir()] == []
