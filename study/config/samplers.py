"""Which samplers may propose a search's configurations, and what each of them needs."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

from study.config.aims import GAIN, PARETO
from study.config.ranges import Axis, Range, size_of
from trainables.rules import is_number

CMA_ES = "cma-es"
NSGA_II = "nsga-ii"
SAMPLERS = ("tpe", "random", "gp", CMA_ES, NSGA_II)
# Those that learn from what breaks a constraint, too.
CONSTRAINED = ("tpe", "gp", NSGA_II)
# What Optuna imports for a sampler, and only when it first proposes.
_PACKAGES = {"gp": ("torch", "scipy"), CMA_ES: ("cmaes",)}


def is_ordered(axis: Axis) -> bool:
    """Return whether the values of an axis have an order that a sampler can learn from.

    Examples
    --------
    >>> is_ordered((0.05, 0.1)), is_ordered(("aeda", "eda"))
    (True, False)
    """
    return isinstance(axis, Range) or all(map(is_number, axis))


def sampler_faults(sampler: str, searched: Mapping[str, Mapping[str, Axis]], aim: str = GAIN) -> list[str]:
    """Return what keeps a sampler from proposing configurations.

    Parameters
    ----------
    sampler
        One of :data:`SAMPLERS`.
    searched
        The axes of each space, by where it is written. A space of one configuration is a recipe, and not searched.
    aim
        One of :data:`study.config.aims.AIMS`.
    """
    absent = [name for name in _PACKAGES.get(sampler, ()) if importlib.util.find_spec(name) is None]
    faults = [
        f"sampler {sampler!r} needs the package {name}, which is not installed: run `make setup`, or choose another "
        "sampler."
        for name in absent
    ]
    if sampler == CMA_ES and aim == PARETO:
        faults.append(
            "sampler 'cma-es' pursues one thing at a time, and aim 'pareto' is two: choose 'tpe', 'gp' or 'nsga-ii', "
            "or another aim."
        )
    if sampler == CMA_ES:
        faults += [
            f"sampler 'cma-es' learns from settings with an order alone, and {where} ({', '.join(space)}) has none "
            "with two numbers or more: choose 'tpe' or 'gp', or give it a list or range of numbers."
            for where, space in searched.items()
            if any(size_of(axis) > 1 for axis in space.values())
            and not any(is_ordered(axis) and size_of(axis) > 1 for axis in space.values())
        ]
    return faults
