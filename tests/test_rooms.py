"""Every room keeps what its docstring says: what may not enter it, and who may lean on whom."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.rooms import (
    HOUSES,
    ROOT,
    arrows,
    circle,
    docstring,
    entered,
    floors,
    lean_on_study,
    modules,
    not_allowed,
    packages,
    read_module,
    room_of,
    upward,
)

GROUND = {
    f"trainables.{name}"
    for name in ("settings", "rules", "trial", "interval", "errors", "seeds", "priors", "world", "user_cache")
}
# The one room of study/ that knows each of these, whatever the docstrings say.
AT_HOME = {"mlflow": "study.tracking", "optuna": "study.plan"}


def importers(library):
    return {m.name for m in modules().values() if any(n.split(".")[0] == library for n in m.imports)}


@pytest.mark.parametrize("package", packages())
def test_a_package_says_what_it_is_for_and_what_may_not_enter(package):
    assert docstring(package)
    assert package in HOUSES or not_allowed(package)


@pytest.mark.parametrize("package", [name for name in packages() if not_allowed(name)])
def test_nothing_enters_that_the_docstring_keeps_out(package):
    assert not entered(package, modules().values())


@pytest.mark.parametrize("house", HOUSES)
def test_every_room_has_a_floor(house):
    rooms = {name for name in packages() if name.count(".") == 1 and name.startswith(f"{house}.")}
    assert rooms == set(floors(house))


@pytest.mark.parametrize("package", [name for name in packages() if floors(name)])
def test_no_arrow_points_upward(package):
    assert set(floors(package)) <= set(packages())
    assert not upward(package)


def test_the_data_plane_knows_nothing_of_the_control_plane():
    assert not lean_on_study(modules().values())


def test_rooms_know_nothing_of_the_commands_above_them():
    assert not [mine for mine, other in arrows() if other == "study"]


def test_no_room_leans_on_the_trial_above_it():
    leaning = [
        f"{module.name} imports {name}"
        for module in modules().values()
        if module.name.startswith("trainables.") and room_of(module.name) != "trainables"
        for name in module.imports
        if name.startswith("trainables") and room_of(name) == "trainables" and name not in GROUND
    ]
    assert not leaning


def test_no_circle():
    assert circle() is None


@pytest.mark.parametrize(("library", "home"), AT_HOME.items())
def test_a_library_is_known_to_one_room(library, home):
    assert importers(library) and {room_of(name) for name in importers(library)} == {home}


def test_only_one_module_of_the_data_plane_knows_ray():
    assert {name for name in importers("ray") if name.startswith("trainables")} == {"trainables.worker"}


def test_readers_of_corpora_know_nothing_of_one_another():
    readers = {f"trainables.corpora.{name}" for name in ("drug_labels", "own_tables", "published")}
    between = [pair for pair in arrows("trainables.corpora") if {*pair} <= readers]
    assert readers <= set(packages()) and not between


@pytest.mark.parametrize(
    "line",
    [
        "import torch",
        "from torch.nn import functional",
        "def f():\n    import torch.nn as nn",
        "from .. import worker",
    ],
)
def test_a_module_that_breaks_a_rule_is_found(line):
    module = read_module("trainables.texts.intruder", f"{line}\n", frozenset(modules()))
    if "torch" in line:
        assert entered("trainables.texts", [module])
    else:
        assert "trainables.worker" in module.imports
    other = read_module(
        "trainables.method.intruder", "from study.config.values import RULES", frozenset(modules())
    )
    assert lean_on_study([other])


def test_the_plan_of_the_house_can_be_printed():
    printed = subprocess.run(
        [sys.executable, "-m", "tests.rooms"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "circle: none" in printed and "study.verdict" in printed
