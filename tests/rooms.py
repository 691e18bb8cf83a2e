"""The plan of the house as the code has it. ``python -m tests.rooms`` prints who imports whom, and what is longest.

A room is a package. Its docstring says what may not be imported there (``Not allowed here: …``), and the docstring of
the package around it lists its rooms from the top to the ground floor (``- name: …``).
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOUSES = ("study", "trainables")


@dataclass(frozen=True)
class Module:
    """One module of the project.

    Attributes
    ----------
    name
        Dotted name; of a package, the package's.
    lines
        Lines of its file.
    imports
        Dotted names of the modules that it imports, anywhere in it, beside the line of the first import.
    functions
        Name, number of parameters and lines of each of its functions.
    """

    name: str
    lines: int
    imports: dict[str, int] = field(compare=False)
    functions: tuple[tuple[str, int, int], ...] = ()


@cache
def modules() -> dict[str, Module]:
    """Return every module of the two houses by its dotted name."""
    paths = [path for house in HOUSES for path in sorted((ROOT / house).rglob("*.py"))]
    names = {_dotted(path): path for path in paths}
    return {name: _module(name, path, frozenset(names)) for name, path in names.items()}


def _dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _module(name: str, path: Path, known: frozenset[str]) -> Module:
    return read_module(name, path.read_text(encoding="utf-8"), known, path.name == "__init__.py")


def read_module(name: str, source: str, known: frozenset[str], is_package: bool = False) -> Module:
    """Return what a module's source says; ``known`` are the modules of the project by their dotted names."""
    imports: dict[str, int] = {}
    functions = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                imports.setdefault(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            above = name.split(".") if is_package else name.split(".")[:-1]
            base = [*above[: len(above) - node.level + 1]] if node.level else []
            package = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                deeper = f"{package}.{alias.name}"
                imports.setdefault(deeper if deeper in known else package, node.lineno)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            own = [
                *given.posonlyargs,
                *given.args,
                *given.kwonlyargs,
                *filter(None, [given.vararg, given.kwarg]),
            ]
            parameters = sum(a.arg not in ("self", "cls") for a in own)
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            functions.append((f"{name}.{node.name}", parameters, lines))
    return Module(name, source.count("\n"), imports, tuple(functions))


@cache
def packages() -> list[str]:
    """Return the dotted names of all packages."""
    return [name for name in modules() if (ROOT / name.replace(".", "/")).is_dir()]


def docstring(package: str) -> str:
    """Return what a package says of itself."""
    path = ROOT / package.replace(".", "/") / "__init__.py"
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def not_allowed(package: str) -> list[str]:
    """Return what a package's docstring keeps out of it."""
    found = re.search(r"^Not allowed here: (.*)\.$", docstring(package), re.MULTILINE)
    return found[1].split(", ") if found else []


def floors(package: str) -> list[str]:
    """Return the rooms that a package's docstring lists, from the top to the ground floor."""
    return [f"{package}.{room}" for room in re.findall(r"^- (\w+): ", docstring(package), re.MULTILINE)]


def room_of(module: str, house: str | None = None) -> str:
    """Return the room on a package's own floors that a module stands in; the package, where it stands in none."""
    house = house or module.split(".")[0]
    room = ".".join(module.split(".")[: house.count(".") + 2])
    return room if room in packages() else house


@cache
def arrows(house: str | None = None) -> Counter[tuple[str, str]]:
    """Return how many modules of one room import from another one: of both houses, or within one package."""
    inside = HOUSES if house is None else (house,)
    found: Counter[tuple[str, str]] = Counter()
    for module in modules().values():
        if _is_in(module.name, inside):
            mine = room_of(module.name, house)
            found.update({(mine, room_of(name, house)) for name in module.imports if _is_in(name, inside)})
    return Counter({pair: n for pair, n in found.items() if pair[0] != pair[1]})


def _is_in(name: str, packages: tuple[str, ...]) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def upward(house: str) -> list[str]:
    """Return the arrows of a package that point up its floors."""
    place = {room: i for i, room in enumerate(floors(house))}
    return [
        f"{mine} -> {other}"
        for mine, other in arrows(house)
        if mine in place and other in place and place[other] < place[mine]
    ]


def entered(package: str, of: Iterable[Module]) -> list[str]:
    """Return the imports among some modules that a package's docstring keeps out of it."""
    kept_out = tuple(not_allowed(package))
    return [
        f"{module.name}:{line} imports {name}"
        for module in of
        if _is_in(module.name, (package,))
        for name, line in module.imports.items()
        if _is_in(name, kept_out)
    ]


def lean_on_study(of: Iterable[Module]) -> list[str]:
    """Return the modules of the data plane that import from the control plane."""
    return [
        f"{module.name} imports {name}"
        for module in of
        if _is_in(module.name, ("trainables",))
        for name in module.imports
        if _is_in(name, ("study", "search_spaces", "benchmarks"))
    ]


def circle() -> list[str] | None:
    """Return modules that import one another in a circle, or None where there is none."""
    graph = {
        module.name: {name for name in module.imports if name in modules() and name != module.name}
        for module in modules().values()
    }
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return list(error.args[1])
    return None


def _print() -> None:
    sizes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for module in modules().values():
        sizes[room_of(module.name)] += module.lines
        counts[room_of(module.name)] += 1
    print(f"{'room':<24}{'modules':>8}{'lines':>8}  imports from (modules that do)")
    for house in HOUSES:
        for room in (house, *floors(house)):
            below = ", ".join(f"{other} {n}" for (mine, other), n in sorted(arrows().items()) if mine == room)
            print(f"{room:<24}{counts[room]:>8}{sizes[room]:>8}  {below}")
    print(f"circle: {' -> '.join(circle() or ['none'])}")
    functions = [function for module in modules().values() for function in module.functions]
    for what, longest in (
        ("parameters", sorted(((n, name) for name, n, _ in functions), reverse=True)),
        ("lines of a function", sorted(((n, name) for name, _, n in functions), reverse=True)),
        ("lines of a module", sorted(((m.lines, m.name) for m in modules().values()), reverse=True)),
    ):
        print(f"most {what}: " + ", ".join(f"{name} {n}" for n, name in longest[:6]))


if __name__ == "__main__":
    _print()
