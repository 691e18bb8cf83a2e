"""Which preset a launch takes where none is given: the study's own, or by the GPUs that there are or may be."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from study.command.launch_arguments import build_parser
from study.launch import launch_study
from study.record.folder import StudyFolder
from study.run import cluster, place
from study.run.capacity import Autoscaler, Capacity, NodeType
from study.run.cluster import Connection
from trainables.errors import ConfigurationError

pytestmark = pytest.mark.usefixtures("no_ray")


@pytest.mark.parametrize(
    ("autoscaler", "preset", "said"),
    [
        (Autoscaler((NodeType({"CPU": 4, "GPU": 1}, 8),), 8), "cluster", ""),
        (Autoscaler((NodeType({"CPU": 4}, 8),), 8), "laptop", ""),
        (Autoscaler(), "laptop", "it cannot be told what its autoscaler may start: the preset is laptop"),
    ],
)
def test_the_preset_follows_the_gpus_that_a_joined_cluster_may_start(
    monkeypatch, tmp_path, autoscaler, preset, said
):
    joined = join(monkeypatch, autoscaler)
    for connection in (None, joined):  # the second study of a ladder is given the cluster of the first one
        found, told = preset_of(monkeypatch, "adme", "--storage", str(tmp_path), connection=connection)
        assert found == preset
        assert said in told and bool(said) == bool(told)


def join(monkeypatch, autoscaler):
    """Let a cluster be found here, whose autoscaler is this one, and return it."""
    joined = Connection(True, "", {"CPU": 0.0}, Capacity(lambda: [{"CPU": 0.0}], autoscaler))
    monkeypatch.setattr(place, "cluster_is_named", lambda: True)
    monkeypatch.setattr(cluster, "join_running_cluster", lambda: joined)
    return joined


def preset_of(monkeypatch, *argv, variant=lambda config: config, connection=None):
    """Return the preset that a launch takes, and what it says until its first checks."""
    checked = []

    def stop(config, storage, tracking, faults):
        checked.append(config.preset)
        raise ConfigurationError([*faults, "no further"])

    monkeypatch.setattr("study.launch.first_checks", stop)
    console = Console(file=io.StringIO(), width=1000)
    with pytest.raises(ConfigurationError, match=r"^no further$"):
        launch_study(build_parser().parse_args(argv), console, variant, connection)
    return checked[0], console.file.getvalue()


@pytest.mark.parametrize(
    ("options", "preset"),
    [
        ((), "laptop"),
        (("--fresh",), "cluster"),
        (("--preset", "smoke"), "smoke"),
        (("--as", "another"), "cluster"),
    ],
)
def test_a_study_that_has_begun_keeps_its_preset_where_there_are_gpus_by_now(
    monkeypatch, tmp_path, options, preset
):
    join(monkeypatch, Autoscaler((NodeType({"CPU": 4, "GPU": 1}, 8),), 8))
    StudyFolder(tmp_path, "adme").write_facts({"preset": "laptop"})
    assert preset_of(monkeypatch, "adme", "--storage", str(tmp_path), *options) == (preset, "")


def test_a_recorded_preset_is_that_of_the_folder_in_which_the_results_are_kept(monkeypatch, tmp_path):
    StudyFolder(tmp_path, "mine").write_facts({"preset": "smoke"})
    StudyFolder(tmp_path, "adme-by_row").write_facts({"preset": "cluster"})

    def by_row(config):
        return dataclasses.replace(config, name=f"{config.name}-by_row")

    given = ("adme", "--storage", str(tmp_path))
    assert preset_of(monkeypatch, *given, "--as", "mine")[0] == "smoke"
    assert preset_of(monkeypatch, *given, variant=by_row)[0] == "cluster"
