"""How the commands are written: ``study launch`` where the installed program runs, else ``python -m study.launch``."""

from __future__ import annotations

import sys
from pathlib import Path

PROGRAM = "study"


def written(command: str) -> str:
    """Return how the user writes a command, e.g. ``launch``, on the command line that this process was started from."""
    return f"{PROGRAM} {command}" if _is_installed() else f"python -m {PROGRAM}.{command}"


def as_given() -> list[str]:
    """Return the words of this process's command line; called by another program, those of a launch with its words."""
    if _is_installed():
        return [PROGRAM, *sys.argv[1:]]
    module = _module() or f"{PROGRAM}.launch"
    return ["python", "-m", module.removesuffix(".__main__"), *sys.argv[1:]]


def is_own() -> bool:
    """Return whether this process is one of the project's commands, and not another program that calls one."""
    return _is_installed() or _module() is not None


def _is_installed() -> bool:
    return _spec_name() is None and Path(sys.argv[0]).stem == PROGRAM


def _module() -> str | None:
    """Return the module of the project that was given to ``python -m``."""
    name = _spec_name()
    return name if name is not None and name.startswith(f"{PROGRAM}.") else None


def _spec_name() -> str | None:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return None if spec is None else spec.name
