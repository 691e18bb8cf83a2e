from __future__ import annotations

import os
import subprocess
import sys

import pytest

from study.record.folder import StudyFolder, storage_faults, study_id, write_atomically
from study.run.resuming import resume_faults
from tests.study.simulation import small_config
from trainables.errors import ConfigurationError, StudyStopped

CORPUS = {"digest": "d1", "source": "here"}
NUMERICS = {"encoder_digest": "e1", "device": "cpu"}


def facts(config):
    return {"study_id": "abc", "config": config.identity(), "corpus": CORPUS, "numerics": NUMERICS}


def test_one_driver_at_a_time(tmp_path):
    folder = StudyFolder(tmp_path, "toy")
    other = (
        "from pathlib import Path\nfrom study.record.folder import StudyFolder\n"
        "from trainables.errors import StudyStopped\n"
        f"folder = StudyFolder(Path({str(tmp_path)!r}), 'toy')\n"
        "try:\n    folder.locked().__enter__()\n    print('in')\nexcept StudyStopped as e:\n    print(e)"
    )
    with folder.locked():
        said = subprocess.run(
            [sys.executable, "-c", other], capture_output=True, text=True, check=True
        ).stdout
        assert "Another launch of 'toy' is running" in said and str(os.getpid()) in said
    said = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "in"


def test_the_lock_goes_with_a_block_that_raises(tmp_path):
    folder = StudyFolder(tmp_path, "toy")
    with pytest.raises(ZeroDivisionError), folder.locked():
        raise ZeroDivisionError
    with folder.locked():
        pass


def test_a_second_lock_in_the_same_driver_is_refused(tmp_path):
    folder = StudyFolder(tmp_path, "toy")
    with folder.locked(), pytest.raises(StudyStopped, match="Another launch"), folder.locked():
        pass


def test_setting_aside_keeps_everything(tmp_path):
    folder = StudyFolder(tmp_path, "toy")
    assert folder.set_aside() is None
    folder.write_facts(facts(small_config()))
    aside = folder.set_aside()
    assert (aside / "study.json").exists() and not folder.root.exists()


def test_a_resumed_study_must_be_the_same_one(tmp_path):
    folder = StudyFolder(tmp_path, "toy")
    config = small_config()
    assert resume_faults(folder, config, "d1", NUMERICS) == []
    folder.write_facts(facts(config))
    assert resume_faults(folder, config, "d1", NUMERICS) == []
    assert resume_faults(folder, small_config(trials=50), "d1", NUMERICS) == []
    (fault,) = resume_faults(
        folder, small_config(seed=3, max_length=64), "d2", {**NUMERICS, "encoder_digest": "e2"}
    )
    for said in (
        "seed was 0 and is now 3",
        "max_length was 128 and is now 64",
        "now d2",
        "encoder digest was e1 and is now e2",
        "--fresh",
    ):
        assert said in fault


def test_a_study_of_another_preset_is_said_to_go_on_with_its_own(tmp_path):
    folder, config = StudyFolder(tmp_path, "toy"), small_config(preset="laptop")
    folder.write_facts({**facts(config), "preset": "laptop"})
    (fault,) = resume_faults(folder, small_config(preset="cluster", max_length=64), "d1", NUMERICS)
    assert "Give --preset laptop, with which it began, to go on with it, or --fresh" in fault
    (fault,) = resume_faults(folder, small_config(preset="laptop", max_length=64), "d1", NUMERICS)
    assert "--preset" not in fault and "Give --fresh" in fault


def test_a_study_of_a_later_version_is_named_as_one(tmp_path):
    folder, config = StudyFolder(tmp_path, "toy"), small_config()
    made = facts(config)
    folder.write_facts({**made, "config": {**made["config"], "quantum": True}, "git_commit": "abc123"})
    (fault,) = resume_faults(folder, config, "d1", NUMERICS)
    assert "made by a later version (commit abc123), which has quantum: go on with that version" in fault
    assert "None" not in fault


def test_the_grid_of_an_arm_that_came_later_is_no_difference_and_another_grid_of_one_is(tmp_path):
    folder = StudyFolder(tmp_path, "toy")
    focal = {"focal": {"gamma": (1.0, 2.0)}}
    folder.write_facts(facts(small_config(arm_spaces=focal)))
    later = {**focal, "tapt": {"masking_rate": (0.15, 0.3)}}
    assert resume_faults(folder, small_config(arm_spaces=later), "d1", NUMERICS) == []
    for other in ({}, {"focal": {"gamma": (1.0,)}}):
        (fault,) = resume_faults(folder, small_config(arm_spaces=other), "d1", NUMERICS)
        assert "arm_spaces was" in fault


def test_the_study_keeps_its_identity(tmp_path):
    folder = StudyFolder(tmp_path, "toy")
    assert study_id(folder) != study_id(folder)
    folder.write_facts(facts(small_config()))
    assert study_id(folder) == "abc"


def test_a_storage_that_cannot_be_written_is_a_fault(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    (fault,) = storage_faults(str(file / "below"))
    assert "cannot be written" in fault
    (fault,) = storage_faults("s3://bucket/x")
    assert "a folder was expected" in fault
    assert storage_faults(str(tmp_path / "new" / "folder")) == []
    assert not (tmp_path / "new").exists(), "a launch that only looks creates nothing"


@pytest.mark.parametrize("name", ["my results", "ä" * 100 + "x" * 40, "what?now", "a%20b", "#1&2"])
def test_any_name_is_a_storage_folder(tmp_path, name):
    assert storage_faults(str(tmp_path / name)) == []
    (tmp_path / name).mkdir()
    assert storage_faults(str(tmp_path / name)) == [] and not list((tmp_path / name).iterdir())


def test_a_name_that_is_too_long_and_a_link_to_a_lost_disk_are_told(tmp_path):
    (fault,) = storage_faults(str(tmp_path / ("x" * 300) / "below"))
    assert "File name too long" in fault
    (tmp_path / "link").symlink_to(tmp_path / "lost")
    for path in (tmp_path / "link", tmp_path / "link" / "below"):
        (fault,) = storage_faults(str(path))
        assert f"{tmp_path}/link is a link to {tmp_path}/lost, which is not there" in fault


def test_the_facts_hold_a_file_name_that_is_no_unicode(tmp_path):
    folder = StudyFolder(tmp_path, "toy")
    folder.write_facts({"command": [os.fsdecode(b"\xff.csv"), "ü"]})
    assert folder.read_facts() == {"command": [os.fsdecode(b"\xff.csv"), "ü"]}


def test_a_reader_never_sees_half_a_file(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    write_atomically(path, "old")
    monkeypatch.setattr("pathlib.Path.replace", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, "new")
    assert path.read_text() == "old"


@pytest.mark.parametrize("left", ["", '{"study_id": "x", "conf', "[]", "{}", "\0" * 50])
def test_damaged_facts_are_a_fault_that_says_the_way_on(tmp_path, left):
    folder = StudyFolder(tmp_path, "adme")
    folder.root.mkdir()
    folder.facts.write_text(left)
    with pytest.raises(ConfigurationError, match=r"study\.json is damaged.*--fresh"):
        folder.read_facts()
