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
from study.run.distributions import distributions, normal
from study.run.node_answers import Answers
from study.run.node_report import NodeReport, code_digest, folder_digest, node_report
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


def versions(**changed):
    return {"python": "3.11", "torch": "2.13.0", **{f"part{n:02}": "1.0" for n in range(20)}, **changed}


def test_all_that_the_lock_pins_has_to_be_alike_and_some_of_what_differs_is_named():
    own = OWN._replace(versions=versions())
    check = NodeCheck("/mnt/study/.toy.1.nonce", own, tuple(name for name in own.versions if "part" in name))
    assert check.faults("10.0.0.2", own._replace(versions=versions(part03=None))) == [], (
        "it is not needed there"
    )
    (fault,) = check.faults("10.0.0.2", own._replace(versions=versions(part03="2.0", torch="2.12.0")))
    assert "torch is 2.12.0 there and 2.13.0 here; part03 is 2.0 there and 1.0 here." in fault
    old = dict.fromkeys(own.versions, "0.9")
    (fault,) = check.faults("10.0.0.2", own._replace(versions=old))
    assert fault.count(" is 0.9 there") == 12 and "; so are 10 more." in fault
    assert "python is" in fault and "torch is" in fault


@pytest.mark.parametrize(("digest", "said"), [("", "is missing there"), ("0ld", "holds other files there")])
def test_a_node_with_another_encoder_is_refused(digest, said):
    own = OWN._replace(encoder="c0de")
    check = NodeCheck("/mnt/study/.toy.1.nonce", own, (), "/models/bert")
    assert check.faults("10.0.0.2", own) == []
    (fault,) = check.faults("10.0.0.2", own._replace(encoder=digest))
    assert f"/models/bert {said}" in fault and "on storage that all nodes share" in fault


def test_the_digest_of_a_folder_follows_every_small_file_and_the_size_and_pieces_of_large_ones(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(nodes.node_report, "_WHOLE_BYTES", 100)
    monkeypatch.setattr(nodes.node_report, "_PIECE_BYTES", 10)
    config, weights = tmp_path / "config.json", tmp_path / "model.safetensors"
    config.write_text("{}")
    weights.write_bytes(bytes(1000))
    found = [folder_digest(str(tmp_path))]
    assert found == [folder_digest(str(tmp_path))] and len(found[0]) == 12
    config.write_text("[]")
    found.append(folder_digest(str(tmp_path)))
    for changed in (
        b"1" + bytes(999),
        bytes(999) + b"1",
        bytes(500) + b"1" + bytes(499),
        bytes(1001),
    ):
        weights.write_bytes(changed)
        found.append(folder_digest(str(tmp_path)))
    assert len({*found}) == len(found)
    assert folder_digest(str(tmp_path / "nowhere")) == ""


def test_the_encoder_is_compared_where_it_is_a_folder(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for encoder, place in ((str(tmp_path), str(tmp_path)), ("minilm", ""), ("google-bert/bert", "")):
        with node_check(StudyFolder(tmp_path / "storage", "toy"), JOINED, encoder) as check:
            assert check.encoder == place and bool(check.own.encoder) == bool(place)
            assert check.ask() == check.own and check.faults("10.0.0.2", check.own) == []


def test_what_the_project_is_made_of_stands_in_the_lock():
    """Of it the lock holds everything; what only its development needs is no part."""
    lock = (Path(__file__).parents[3] / "requirements.lock").read_text(encoding="utf-8")
    pinned = {normal(line.partition("==")[0]) for line in lock.splitlines() if "==" in line}
    found = {*distributions()}
    assert found <= pinned and {"torch", "ray", "tokenizers", "joblib", "click"} <= found
    assert not found & {"pytest", "ruff", "mypy", "moto", "pip"}


def test_a_machine_reports_itself(tmp_path):
    (tmp_path / "nonce").write_text("secret")
    report = node_report(str(tmp_path / "nonce"))
    assert report.nonce == "secret" and report.writes
    assert report.versions["ray"] == ray.__version__ and None not in report.versions.values()
    assert report.code == code_digest() != ""
    more = node_report(str(tmp_path / "nonce"), ("click", "no-such-thing")).versions
    assert more == {**report.versions, "click": importlib.metadata.version("click"), "no-such-thing": None}


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


def test_a_node_that_says_nothing_is_a_fault_unless_it_has_gone(monkeypatch):
    a, b, c, gone, head = (
        {
            "NodeID": name,
            "Alive": True,
            "NodeManagerAddress": name,
            "NodeManagerHostname": f"host-{name}",
            "Resources": {} if name == "head" else {"CPU": 4.0},
        }
        for name in ("a", "b", "c", "gone", "head")
    )
    alive, asked, silent = [a, b, c, gone, head], [], {}

    def ask_each(given, ask):
        asked.append(given)
        alive.remove(gone)
        return Answers([(node, ask()) for node in given if node in (a, b)], **silent)

    monkeypatch.setattr(nodes, "alive", lambda: alive)
    monkeypatch.setattr(nodes, "ask_each", ask_each)
    silent.update(late=[gone])
    assert nodes.ask_nodes(lambda: 1) == [("a", 1), ("b", 1)] and asked == [[a, b, c, gone]]
    alive.append(gone)
    silent.update(late=[b], lost=[(gone, "left"), (c, "no memory")])
    with pytest.raises(ConfigurationError) as refused:
        nodes.ask_nodes(lambda: 1, only_with_cpus=False)
    late, lost = refused.value.faults
    assert late.startswith("Node b (host-b) does not answer within 120 s, although Ray counts it as alive.")
    assert (
        lost.startswith("Node c (host-c) cannot run anything (no memory), although Ray") and head in asked[1]
    )


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
