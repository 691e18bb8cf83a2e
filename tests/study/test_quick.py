"""What a command has not loaded when it answers: torch, Ray and the like take seconds, and most answers need none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "ray", "mlflow", "sklearn", "transformers", "optuna", "matplotlib", "nlpaug", "datasets")
ROOT = Path(__file__).parents[2]
SMOKE = ("--preset", "smoke")  # without a preset, GPUs may have to be looked for

# Runs a command as `python -m` does, and says on its last line how it ended and what it has loaded.
RUN = f"""
import json, runpy, sys
code = 0
module, sys.argv = sys.argv[1], sys.argv[1:]
try:
    runpy.run_module(module, run_name="__main__")
except SystemExit as end:
    code = end.code
print(json.dumps([code, [name for name in {HEAVY!r} if name in sys.modules]]))
"""


def run(module, *arguments):
    """Return a command's exit code, what it loaded, and what it wrote to standard error."""
    command = [sys.executable, "-c", RUN, module, *map(str, arguments)]
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS" and not k.startswith("MLFLOW_")}
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    code, loaded = json.loads(finished.stdout.splitlines()[-1])
    return code, loaded, finished.stderr


@pytest.mark.parametrize(
    "command", ["launch", "ladder", "compare", "predict", "findings", "data", "augment", "settings"]
)
def test_help_loads_nothing_heavy(command):
    assert run(f"study.{command}", "--help")[:2] == (0, [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["admee"], "no study 'admee'"),
        (["adme", "--preset", "huge"], "no preset 'huge'"),
        (["adme", "--data", "sample", "--set", "nosuch=1", "--trials", "-1"], "trials is -1"),
        (["adme", "--data", "sample", *SMOKE, "--set", 'space={"operator":5}'], "space['operator'] is 5"),
        (["adme", *SMOKE, "--data", "/nowhere/labels.jsonl"], "/nowhere/labels.jsonl"),
        (["adme", *SMOKE, "--data", "sample", "--arms", "focl"], "Did you mean 'focal'?"),
        (["adme", *SMOKE, "--data", "sample", "--arms", "tapt"], "'minilm' has no masked-language head"),
        (["adme", *SMOKE, "--data", "sample", "--encoder", "/nowhere/bert"], "/nowhere/bert"),
        (["adme", *SMOKE, "--trials", "-1", "--option", "nosuch=1"], "no option nosuch"),
        (["adme", *SMOKE, "--data", "sample", "--tracking-uri", "bogus://x"], "bogus://x"),
        (["tabular", *SMOKE, "--data", "/nowhere.csv", "--text", "a", "--label", "b"], "/nowhere.csv"),
    ],
)
def test_a_fault_that_needs_no_model_is_told_before_one_is_loaded(tmp_path, arguments, said):
    code, loaded, message = run("study.launch", *arguments, "--storage", tmp_path)
    assert (code, loaded) == (2, []), message
    assert said in " ".join(message.split())


def test_a_table_without_the_column_is_refused_before_a_model_is_loaded(tmp_path):
    table = tmp_path / "my.csv"
    table.write_text("words,kind\n" + "one two,a\nthree four,b\n" * 9)
    code, loaded, message = run(
        "study.launch",
        "tabular",
        *SMOKE,
        "--data",
        table,
        "--text",
        "word",
        "--label",
        "kind",
        "--storage",
        tmp_path,
    )
    assert (code, loaded) == (2, []) and "'word'" in message


@pytest.mark.parametrize("command", ["compare", "data", "augment"])
def test_an_unknown_name_is_told_before_anything_heavy_is_loaded(tmp_path, monkeypatch, command):
    monkeypatch.setenv("STUDY_STORAGE", str(tmp_path))
    code, loaded, message = run(f"study.{command}", "admee")
    assert (code, loaded) == (2, []) and "admee" in message


def test_a_comparison_loads_what_draws_and_nothing_that_trains(tmp_path, make_study):
    make_study()
    code, loaded, _ = run("study.compare", "adme", "--storage", tmp_path)
    assert (code, loaded) == (0, ["matplotlib"])


def test_the_sample_corpus_is_described_without_torch():
    code, loaded, _ = run("study.data", "adme", "--data", "sample")
    assert (code, loaded) == (0, [])


def test_unknown_names_come_with_every_other_fault(tmp_path):
    code, _, message = run(
        "study.launch", "adme", "--data", "/nowhere.jsonl", "--preset", "smoke", "--set", "nosuch=1", "--set", "trials",
        "--replicates", "0", "--encoder", "/nowhere/bert", "--option", "x", "--storage", tmp_path,
    )  # fmt: skip
    message = " ".join(message.split())
    assert code == 2 and "6 faults" in message
    for said in (
        "'nosuch'",
        "--set trials",
        "replicates is 0",
        "/nowhere/bert",
        "--option x",
        "/nowhere.jsonl",
    ):
        assert said in message, said


def test_a_plan_is_shown_without_starting_ray(tmp_path):
    code, loaded, message = run(
        "study.launch", "adme", "--data", "sample", "--preset", "smoke", "--dry-run", "--storage", tmp_path
    )
    assert code == 0 and "ray" not in loaded and "mlflow" not in loaded
    assert "Plan (smoke)" in message and "Counted without starting Ray" in message
