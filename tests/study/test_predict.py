"""The command that labels new texts: what it reads and writes, what it refuses, and how it goes on after a kill."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from study import predict
from study.command import label_file
from study.command.label_file import LabelFile, Labeller
from trainables.corpora.new_texts import NewText
from trainables.export.labelling import SavedModel

CLASSES = ["absorption", "excretion"]
ROOT = Path(__file__).parents[2]


def probabilities(texts):
    """Return what a model of two classes would: sure of texts that speak of urine."""
    second = np.array([0.9 if "urine" in text else 0.3 for text in texts])
    return np.stack([1 - second, second], axis=1)


@pytest.fixture
def study(tmp_path, make_study, monkeypatch):
    """A study with a model folder, whose weights are stood in for; returns the storage."""
    make_study()
    facts = json.loads((tmp_path / "adme" / "study.json").read_text())
    facts["config"]["corpus"] = "adme"
    (tmp_path / "adme" / "study.json").write_text(json.dumps(facts))
    folder = tmp_path / "adme" / "model" / "winner"
    folder.mkdir(parents=True)
    about = {"digest": "d", "classes": CLASSES, "max_length": 32}
    (folder / "export.json").write_text(json.dumps(about))

    class Standing:
        classes = tuple(CLASSES)

        def probabilities(self, texts):
            return probabilities(texts)

    monkeypatch.setattr(SavedModel, "load", lambda folder: Standing())
    return tmp_path


def run(storage, *arguments):
    return predict.main(["adme", "--storage", str(storage), *map(str, arguments)])


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_a_text_with_every_class_probability(study, tmp_path, capsys):
    (tmp_path / "new.txt").write_text("It is absorbed slowly.\n\n \nIt leaves in urine.\n")
    assert run(study, "--input", tmp_path / "new.txt") == 0
    out, told = capsys.readouterr()
    assert lines(out) == [
        {"row": 1, "label": "absorption", "probabilities": {"absorption": 0.7, "excretion": 0.3}},
        {"row": 4, "label": "excretion", "probabilities": {"absorption": 0.1, "excretion": 0.9}},
    ]
    assert "2 of 4 rows were left out (no text: 2, the first at new.txt:2)" in told
    assert "2 texts labelled" in told


def _csv(path):
    path.write_text('id;words\n1;"in urine;\nmostly"\n2;absorbed\n')


def _json_lines(path):
    path.write_text('{"words": "in urine"}\n{"words": "absorbed"}\n')


def _json_array(path):
    path.write_text('[{"words": "in urine"}, {"words": "absorbed"}]')


def _parquet(path):
    pyarrow.parquet.write_table(pyarrow.table({"words": ["in urine", "absorbed"]}), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.csv", _csv), ("a.jsonl", _json_lines), ("a.json", _json_array), ("a.parquet", _parquet)],
)
def test_tables_are_read_by_their_column(study, tmp_path, capsys, name, write):
    write(tmp_path / name)
    assert run(study, "--input", tmp_path / name, "--text", "words") == 0
    found = lines(capsys.readouterr().out)
    assert [each["label"] for each in found] == ["excretion", "absorption"]
    assert found[0]["row"] < found[1]["row"]


def test_labels_of_drugs_are_cut_into_paragraphs_without_their_headings(study, tmp_path, capsys):
    section = (
        "12.3 Pharmacokinetics Absorption Velorin is absorbed slowly from the gut. "
        "Excretion Velorin is excreted unchanged in urine within two days."
    )
    (tmp_path / "labels.jsonl").write_text(json.dumps({"set_id": "s", "pharmacokinetics": [section]}) + "\n")
    assert run(study, "--input", tmp_path / "labels.jsonl") == 0
    out, told = capsys.readouterr()
    assert [(each["row"], each["heading"], each["label"]) for each in lines(out)] == [
        (1, "absorption", "absorption"),
        (2, "excretion", "excretion"),
    ]
    assert "2 of them stood under a heading that names a class: 2 (100%) got that class" in told


def test_below_the_bound_there_is_no_label(study, tmp_path, capsys):
    (tmp_path / "new.txt").write_text("absorbed\nurine\n")
    assert run(study, "--input", tmp_path / "new.txt", "--abstain-below", "0.8") == 0
    out, told = capsys.readouterr()
    assert [each["label"] for each in lines(out)] == [None, "excretion"]
    assert lines(out)[0]["probabilities"]["absorption"] == 0.7 and "1 of them without a label" in told


def test_a_csv_by_its_name(study, tmp_path, capsys):
    (tmp_path / "new.txt").write_text("absorbed\nurine\n")
    assert run(study, "--input", tmp_path / "new.txt", "--output", tmp_path / "found.csv") == 0
    with (tmp_path / "found.csv").open() as file:
        assert [*csv.reader(file)] == [
            ["row", "label", *CLASSES],
            ["1", "absorption", "0.7", "0.3"],
            ["2", "excretion", "0.1", "0.9"],
        ]
    assert capsys.readouterr().out == "" and not list(tmp_path.glob(".found*"))


@pytest.mark.parametrize(
    ("content", "name", "arguments", "said"),
    [
        ("", "new.txt", [], "the file is empty"),
        ("\n \n", "new.txt", [], "the file is empty"),
        ("a,b\n1,2\n", "new.csv", [], "'text'"),
        ("a,b\n1,2\n", "new.csv", ["--text", "words"], "'words'"),
        ('{"text": 3}\n', "new.jsonl", [], "no row of it has a text"),
        ("x\n", "new.txt", ["--output", "/nowhere/found.jsonl"], "name a file in an existing folder"),
        ("x\n", "new.txt", ["--model", "vanilla"], "launch the study with a confirmation first"),
    ],
)
def test_what_cannot_be_labelled_is_said(study, tmp_path, capsys, content, name, arguments, said):
    (tmp_path / name).write_text(content)
    assert run(study, "--input", tmp_path / name, *arguments) == 2
    out, told = capsys.readouterr()
    assert out == "" and said in " ".join(told.split())


def test_all_faults_at_once(study, tmp_path, capsys):
    assert run(study, "--input", tmp_path / "nothing.txt", "--model", "vanilla") == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "2 faults" in told and "no such file" in told and "has no model" in told
    assert predict.main(["admee", "--storage", str(study), "--input", str(tmp_path)]) == 2
    assert "studies in" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(study, "--input", tmp_path, "--abstain-below", "2")


# ---- going on after a kill ----------------------------------------------------------------------------------


def texts(n=23):
    return [NewText(i + 1, f"text {i} {'urine' if i % 3 else ''}") for i in range(n)]


def write(output, monkeypatch, chunks=None, identity="same"):
    """Label ``texts`` into a file as the command does; ``chunks`` ends it as a kill does. Returns what was labelled."""
    monkeypatch.setattr(label_file, "CHUNK", 5)
    labelled = []

    def counted(batch):
        labelled.extend(batch)
        return probabilities(batch)

    file = LabelFile(output, identity)
    labeller = Labeller(CLASSES, counted)
    for number, results in enumerate(labeller.label(texts()[file.resume() :])):
        if number == chunks:
            return labelled
        file.append(results)
    file.finish(CLASSES)
    return labelled


def test_a_killed_command_goes_on_and_ends_in_the_same_file(tmp_path, monkeypatch):
    write(tmp_path / "whole.jsonl", monkeypatch)
    write(tmp_path / "cut.jsonl", monkeypatch, chunks=2)
    assert not (tmp_path / "cut.jsonl").exists()
    (partial,) = tmp_path.glob(".cut.jsonl-*.partial")
    with partial.open("a") as file:  # a chunk of which a part was written
        file.write('{"row": 11, "label": "x"}\n{"row": 12, "la')
    again = write(tmp_path / "cut.jsonl", monkeypatch)
    assert len(again) == 13  # of 23, 10 were there
    assert (tmp_path / "cut.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert not list(tmp_path.glob(".cut*"))


def test_what_was_written_of_another_input_or_model_is_not_taken_over(tmp_path, monkeypatch):
    write(tmp_path / "found.jsonl", monkeypatch, chunks=2)
    assert len(write(tmp_path / "found.jsonl", monkeypatch, identity="other")) == 23
    assert [path.name for path in tmp_path.iterdir()] == ["found.jsonl"]


SLOW = """
import sys, time
import numpy as np
from study import predict
from trainables.export.labelling import SavedModel
class Standing:
    classes = ("absorption", "excretion")
    def probabilities(self, texts):
        time.sleep(0.3)
        return np.tile([0.25, 0.75], (len(texts), 1))
SavedModel.load = classmethod(lambda cls, folder: Standing())
sys.exit(predict.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_kill_9_half_way(study, tmp_path):
    (tmp_path / "new.txt").write_text("".join(f"text {i}\n" for i in range(3000)))
    command = [
        sys.executable,
        "-c",
        SLOW,
        "adme",
        "--storage",
        str(study),
        "--input",
        str(tmp_path / "new.txt"),
    ]
    process = subprocess.Popen(
        [*command, "--output", tmp_path / "cut.jsonl"], cwd=ROOT, stderr=subprocess.PIPE
    )
    while not any(path.stat().st_size for path in tmp_path.glob(".cut*")):
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "cut.jsonl").exists()
    again = subprocess.run(
        [*command, "--output", tmp_path / "cut.jsonl"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "were labelled before" in again.stderr
    subprocess.run(
        [*command, "--output", tmp_path / "whole.jsonl"], cwd=ROOT, check=True, capture_output=True
    )
    assert (tmp_path / "cut.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
