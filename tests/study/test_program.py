"""The commands as one program, and how messages write them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from study import __main__ as program
from study.run.facts import git_commit
from study.terminal.program import as_given, is_own, written
from tests.study.test_quick import HEAVY, ROOT


@pytest.fixture
def started_as(monkeypatch):
    """Return a function that makes this process one that was started by a command line."""

    def start(argv0, *words, module=None):
        spec = None if module is None else SimpleNamespace(name=module)
        monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec)
        monkeypatch.setattr(sys, "argv", [argv0, *words])

    return start


def test_every_command_is_in_the_program():
    files = {path.stem for path in (ROOT / "study").glob("*.py")} - {"__init__", "__main__"}
    assert files == program.COMMANDS.keys()
    for name in files:
        tree = ast.parse((ROOT / "study" / f"{name}.py").read_text(encoding="utf-8"))
        assert "main" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_help_lists_commands_and_studies(capsys):
    assert program.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in program.COMMANDS) and "adme" in out
    assert program.main([]) == 2
    assert capsys.readouterr().err == out


@pytest.mark.parametrize(("word", "near"), [("lauch", "launch"), ("admee", "adme")])
def test_a_word_that_is_neither_a_command_nor_a_study_is_told(capsys, word, near):
    assert program.main([word, "adme"]) == 2
    said = capsys.readouterr().err
    assert f"no command and no study {word!r}. Did you mean {near!r}?" in said and "usage: study" in said


@pytest.mark.parametrize(
    ("words", "command", "rest"),
    [
        (["launch", "adme", "--fresh"], "launch", ["adme", "--fresh"]),
        (["adme", "--fresh"], "launch", ["adme", "--fresh"]),
        (["./mine.py"], "launch", ["./mine.py"]),
        (["compare", "adme"], "compare", ["adme"]),
        (["data"], "data", []),
    ],
)
def test_the_first_word_decides_what_runs(monkeypatch, words, command, rest):
    ran = []
    monkeypatch.setattr(
        program.importlib,
        "import_module",
        lambda name: SimpleNamespace(main=lambda argv: ran.append((name, argv)) or 7),
    )
    assert program.main(words) == 7 and ran == [(f"study.{command}", rest)]


@pytest.mark.parametrize("words", [["--help"], ["lauch"], ["launch", "--help"], ["launch", "admee"]])
def test_the_program_loads_nothing_heavy(words):
    code = (
        "import sys\nfrom study.__main__ import main\n"
        f"try: main({words!r})\nexcept SystemExit: pass\nassert not {{*{HEAVY!r}}} & {{*sys.modules}}"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("start", "command", "given"),
    [
        (("/x/bin/study", "launch", "adme"), "study launch", ["study", "launch", "adme"]),
        (("/x/study/launch.py", "adme", "study.launch"), "python -m study.launch",
         ["python", "-m", "study.launch", "adme"]),
        (("/x/study/__main__.py", "data", "study.__main__"), "python -m study.launch",
         ["python", "-m", "study", "data"]),
    ],
)  # fmt: skip
def test_a_command_is_written_as_it_was_given(started_as, start, command, given):
    *words, last = start
    started_as(*words, *([last] if not last.startswith("study.") else []),
               module=last if last.startswith("study.") else None)  # fmt: skip
    assert is_own() and written("launch") == command and as_given() == given


def test_another_program_that_calls_a_command_is_not_taken_for_one(started_as):
    started_as("/x/bin/pytest", "-q", module="pytest.__main__")
    assert not is_own() and written("launch") == "python -m study.launch"
    assert as_given()[:3] == ["python", "-m", "study.launch"]


def test_the_commit_of_another_projects_checkout_is_not_taken(tmp_path, monkeypatch):
    """As where a virtual environment lies in the user's own checkout."""
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"],
        cwd=tmp_path,
        check=True,
    )
    inside = tmp_path / "venv" / "study"
    inside.mkdir(parents=True)
    monkeypatch.setattr("study.run.facts._PACKAGE", inside)
    assert git_commit() is None
    monkeypatch.setattr("study.run.facts._PACKAGE", Path(tmp_path).resolve() / "study")
    (tmp_path / "study").mkdir()
    assert len(git_commit()) == 40
