"""Every command of the README is run: as it stands, with a tiny encoder and a folder of its own."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from ray.scripts.scripts import cli

from study.command.launch_arguments import build_parser
from study.config.files import load_study_file
from study.config.study_files import known_studies
from tests.tiny_model import tiny_model
from tests.trainables.corpora.label_records import sample_labels, write_lines
from trainables.corpora.drug_labels.sample import generate_sample

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
COMMANDS = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
TINY = ["--preset", "smoke", "--set", "encoder_layers=null", "--set", "max_length=32"]
SEARCH = ["--trials", "2"]
LADDER = [*TINY, "--arm-trials", "2"]


def of_kind(pattern):
    return [command for command in COMMANDS if re.search(pattern, command)]


def write_table(path):
    corpus = generate_sample(300)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label", "product"])
        for text, label, group in zip(corpus.texts, corpus.labels, corpus.groups, strict=True):
            rows.writerow([text, corpus.classes[label], group])


@pytest.fixture(scope="module")
def place(encoder, launched, tmp_path_factory):
    """A folder with a study of the sample in it, and how to run a command there."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(launched[0], folder / "results")
    write_lines(folder / "labels.jsonl.gz", sample_labels(400))
    write_table(folder / "my.csv")
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "MLFLOW_"))},
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "160",
    }

    def run(command, *more):
        argv = shlex.split(command.replace(".venv/bin/", f"{BIN}/"))
        finished = subprocess.run(
            [*argv, *more],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert finished.returncode == 0, f"{command}\n{finished.stderr}"
        return finished

    return folder, encoder, environment, run


def test_no_command_is_left_out():
    kinds = (
        r"^make ",
        r"study\.launch",
        r"study\.ladder",
        r"study\.(compare|data|augment|findings|predict)",
        r"mlflow ui",
        r"bin/ray ",
    )
    assert COMMANDS and all(sum(bool(re.search(k, c)) for k in kinds) == 1 for c in COMMANDS), COMMANDS


@pytest.mark.parametrize("command", of_kind(r"^make "))
def test_make_knows_its_targets(command):
    finished = subprocess.run(
        [*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert "-m study.launch adme" in finished.stdout


def test_make_study_is_the_same_ten_minutes_on_every_machine():
    said = subprocess.run(
        ["make", "study", "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    words = next(line for line in said.stdout.splitlines() if "-m study.launch" in line).split()
    given = build_parser().parse_args(words[words.index("study.launch") + 1 :])
    assert given.preset is not None  # otherwise a GPU would choose the preset
    study = load_study_file(given.name, given.preset, {})
    assert (study.minutes, study.encoder, study.corpus_options.get("labels")) == (10.0, "minilm", None)


@pytest.mark.parametrize("command", of_kind(r"study\.launch"))
def test_the_launch_commands_name_what_there_is(command):
    _, _, _, *words = shlex.split(command)
    arguments = build_parser().parse_args(words)
    assert arguments.name in known_studies()


@pytest.mark.slow
@pytest.mark.parametrize("command", of_kind(r"study\.launch"))
def test_the_launch_commands(place, command):
    _, encoder, _, run = place
    smaller = [option for option in TINY if "--preset" not in command or option not in ("--preset", "smoke")]
    finished = run(command, "--encoder", str(encoder), "--fresh", *smaller, *SEARCH)
    assert "Report: " in finished.stderr and "mlflow ui" in finished.stderr


@pytest.mark.parametrize("command", of_kind(r"study\.(compare|data|augment)"))
def test_the_commands_that_look(place, command):
    *_, run = place
    assert "absorption" in run(command).stdout or "vanilla" in run(command).stdout


@pytest.mark.parametrize("command", of_kind(r"study\.predict"))
def test_the_command_that_labels_texts(place, tmp_path, command):
    folder, _, _, run = place
    model = folder / "results" / "adme" / "model" / "winner"
    if not model.exists():
        shutil.copytree(tiny_model(tmp_path), model)
    (folder / "new.txt").write_text("Velorin is absorbed slowly.\nIt is excreted in urine.\n")
    run(command)
    rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    assert [row["row"] for row in rows] == [1, 2] and all(
        row["label"] in row["probabilities"] for row in rows
    )


@pytest.mark.parametrize("command", of_kind(r"study\.findings"))
def test_the_command_that_keeps_a_page(place, command):
    folder, _, _, run = place
    page = folder / run(command).stdout.strip()
    assert "| vanilla finetuning |" in page.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("command", of_kind(r"study\.ladder"))
def test_the_ladder_command(place, command):
    folder, encoder, _, run = place
    finished = run(command, "--encoder", str(encoder), *LADDER)
    assert all(f"{rung}. " in finished.stdout for rung in range(1, 6)), finished.stdout
    assert "on the test split" in finished.stdout and "on validation" not in finished.stdout
    assert list((folder / "results" / "adme-ladder").glob("ladder-*.svg"))


@pytest.mark.parametrize("command", of_kind(r"mlflow ui"))
def test_the_mlflow_line_opens_the_store(place, command):
    folder, _, environment, _ = place
    port = "5917"
    argv = shlex.split(command.replace(".venv/bin/", f"{BIN}/").replace("5000", port))
    server = subprocess.Popen(
        argv,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
                    assert b"MLflow" in page.read()
                    break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline
                time.sleep(0.5)
    finally:
        os.killpg(server.pid, 15)
        server.wait()


@pytest.mark.parametrize("command", of_kind(r"bin/ray "))
def test_ray_knows_the_cluster_commands(command):
    _, name, *words = shlex.split(command)
    context = cli.commands[name].make_context(name, words)
    assert (ROOT / context.params["cluster_config_file"]).exists()
    program, *rest = shlex.split(context.params.get("cmd") or "sleep")
    if program == "study":  # see deploy/node.sh
        assert build_parser().parse_args(rest).name == "adme"
    else:
        assert program == "sleep"
