"""The plan of the house as the code has it. ``python -m tests.rooms`` prints who imports whom, and how long all is.

A room is a package. Its docstring says what may not be imported there (``Not allowed here: …``), and the docstring of
the package around it lists its rooms from the top to the ground floor (``- name: …``).
"""

from __future__ import annotations

import ast
import re
from collections import Counter
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
    longest_signature, longest_function
        Parameters of the function that has most, and lines of the longest one, each with that function's name.
    """

    name: str
    lines: int
    imports: dict[str, int] = field(compare=False)
    longest_signature: tuple[int, str] = (0, "")
    longest_function: tuple[int, str] = (0, "")


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
    source = path.read_text(encoding="utf-8")
    imports: dict[str, int] = {}
    signatures, lengths = [(0, "")], [(0, "")]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                imports.setdefault(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                deeper = f"{node.module}.{alias.name}"
                imports.setdefault(deeper if deeper in known else node.module, node.lineno)
        elif isinstance(node, ast.FunctionDef):
            arguments = node.args
            own = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            signatures.append((sum(a.arg not in ("self", "cls") for a in own), f"{name}.{node.name}"))
            lengths.append(((node.end_lineno or node.lineno) - node.lineno + 1, f"{name}.{node.name}"))
    return Module(name, source.count("\n"), imports, max(signatures), max(lengths))


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


def room_of(module: str) -> str:
    """Return the room on the house's own floors that a module stands in; the house, where it stands in none."""
    house, *rest = module.split(".")
    room = f"{house}.{rest[0]}" if rest else house
    return room if room in packages() else house


@cache
def arrows() -> Counter[tuple[str, str]]:
    """Return how many modules of one room import from another one."""
    found: Counter[tuple[str, str]] = Counter()
    for module in modules().values():
        mine = room_of(module.name)
        found.update({(mine, room_of(name)) for name in module.imports if name.split(".")[0] in HOUSES})
    return Counter({pair: n for pair, n in found.items() if pair[0] != pair[1]})


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
    everything = modules().values()
    print(f"circle: {' -> '.join(circle() or ['none'])}")
    for what, longest in (
        ("parameters", sorted((m.longest_signature for m in everything), reverse=True)),
        ("lines of a function", sorted((m.longest_function for m in everything), reverse=True)),
        ("lines of a module", sorted(((m.lines, m.name) for m in everything), reverse=True)),
    ):
        print(f"most {what}: " + ", ".join(f"{name} {n}" for n, name in longest[:5]))


if __name__ == "__main__":
    _print()
