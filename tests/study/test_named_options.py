"""What messages tell users to give, exists: every option and every setting that a string of the code names."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from study import augment, compare, data, predict
from study.command import launch_arguments
from study.config.study import StudyConfig
from trainables.augment.registry import OPERATORS
from trainables.corpora.rare_classes import OPTIONS
from trainables.corpora.registry import CORPORA
from trainables.method.arms import ARMS
from trainables.settings import EncoderSettings, TrialSettings

ROOT = Path(__file__).parents[2]
OPTION = re.compile(r"(?<![\w(-])--[a-z][a-z-]*[a-z]")  # not the variables of style sheets: var(--ink)
SET = re.compile(r"--set '?([a-z_]+)=")
SETTING = re.compile(r"(?<![\w/.'\"{(-])[a-z]+(?:_[a-z0-9]+)+(?!\.?[\w(/{])")
OF_OTHER_PROGRAMS = {
    "--backend-store-uri", "--host", "--port", "--version",  # of MLflow
    "--gcs-address", "--autoscaling-config", "--generate",  # of Ray's own processes, and of its command
    "--no-deps", "--editable",  # of pip
    "--show-toplevel",  # of git
}  # fmt: skip
NO_SETTINGS = {
    "clinical_pharmacology", "set_id", "other_drug",  # fields of drug labels, and of sentences about them
    "alembic_version", "version_num",  # of database schemas
    "do_lower_case", "merge_and_unload", "save_pretrained",  # of a model's own files and library
    "raced_out", "n_majority", "n_minority",  # words of the method
    "library_name", "pipeline_tag", "start_time",  # of model cards, and of runs in MLflow
}  # fmt: skip


@cache
def strings() -> list[tuple[str, str]]:
    """Return every string of the code that is no docstring, with its place."""
    return [
        (f"{path.relative_to(ROOT)}:{node.lineno}", node.value)
        for house in ("study", "trainables")
        for path in sorted((ROOT / house).rglob("*.py"))
        for node in _strings(ast.parse(path.read_text(encoding="utf-8")))
    ]


def _strings(tree: ast.Module) -> Iterator[ast.Constant]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node


def options() -> set[str]:
    parsers = (
        launch_arguments.build_parser(),
        augment.build_parser(),
        compare.build_parser(),
        data.build_parser(),
        predict.build_parser(),
    )
    return {option for parser in parsers for option in parser._option_string_actions}


def settings() -> set[str]:
    fields = {
        f.name for kind in (StudyConfig, TrialSettings, EncoderSettings) for f in dataclasses.fields(kind)
    }
    readers = {name for reader in CORPORA.values() for name in inspect.signature(reader).parameters}
    operators = {name for factory in OPERATORS.values() for name in factory.options}
    return fields | readers | operators | {*OPTIONS, *OPERATORS, *ARMS}


def unknown(pattern: re.Pattern[str], known: set[str], sentences_only: bool) -> list[str]:
    return [
        f"{place}: {name}"
        for place, text in strings()
        if " " in text or not sentences_only
        for name in pattern.findall(text)
        if name not in known
    ]


def test_every_option_that_is_named_exists():
    assert unknown(OPTION, options() | OF_OTHER_PROGRAMS, sentences_only=False) == []


def test_every_setting_that_is_named_exists():
    assert unknown(SETTING, settings() | NO_SETTINGS, sentences_only=True) == []


def test_every_value_that_is_to_be_set_is_one_of_a_study():
    assert unknown(SET, {f.name for f in dataclasses.fields(StudyConfig)}, sentences_only=False) == []


@pytest.mark.parametrize(
    ("text", "pattern", "name"),
    [
        ("too few rows; raise max_rows.", SETTING, "max_rows"),
        ("Give --rows-max 5", OPTION, "--rows-max"),
        ("(--set max_rowz=5)", SET, "max_rowz"),
    ],
)
def test_a_name_that_does_not_exist_would_be_found(text, pattern, name):
    assert pattern.findall(text) == [name]
    assert name not in settings() | options()
