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
    floors,
    modules,
    not_allowed,
    packages,
    room_of,
)


@pytest.mark.parametrize("package", packages())
def test_a_package_says_what_it_is_for_and_what_may_not_enter(package):
    assert docstring(package)
    assert package in HOUSES or not_allowed(package)


@pytest.mark.parametrize("package", [name for name in packages() if not_allowed(name)])
def test_nothing_enters_that_the_docstring_keeps_out(package):
    kept_out = not_allowed(package)
    entered = [
        f"{module.name}:{line} imports {name}"
        for module in modules().values()
        if f"{module.name}.".startswith(f"{package}.")
        for name, line in module.imports.items()
        if any(f"{name}.".startswith(f"{other}.") for other in kept_out)
    ]
    assert not entered


@pytest.mark.parametrize("house", HOUSES)
def test_every_room_has_a_floor(house):
    rooms = {name for name in packages() if name.count(".") == 1 and name.startswith(f"{house}.")}
    assert rooms == set(floors(house))


def test_no_arrow_points_upward():
    place = {room: i for house in HOUSES for i, room in enumerate(floors(house))}
    upward = [
        f"{mine} -> {other}"
        for mine, other in arrows()
        if mine in place and other in place and mine.split(".")[0] == other.split(".")[0]
        if place[other] < place[mine]
    ]
    assert not upward
    # The data plane knows nothing of the control plane, and rooms nothing of the commands above them.
    assert not [
        f"{mine} -> {other}"
        for mine, other in arrows()
        if other == "study" or (mine, other[:5]) == ("trainables", "study")
    ]


GROUND = {
    f"trainables.{name}"
    for name in ("settings", "rules", "trial", "interval", "errors", "seeds", "world", "user_cache")
}


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


def test_only_one_module_of_the_data_plane_knows_ray():
    known = {m.name for m in modules().values() if any(n.split(".")[0] == "ray" for n in m.imports)}
    assert {name for name in known if name.startswith("trainables")} == {"trainables.worker"}


def test_the_plan_of_the_house_can_be_printed():
    printed = subprocess.run(
        [sys.executable, "-m", "tests.rooms"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "circle: none" in printed and "study.verdict" in printed
