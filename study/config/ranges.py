"""What a search space gives for a setting: a list of values, or a range of numbers.

A range is ``{"low": 1e-5, "high": 1e-3, "log": True}``: every number between its ends, or every whole number where the
setting is one, equally likely on a linear or on a logarithmic scale. ``{"low": 0.05, "high": 0.3, "step": 0.05}`` is
short for the list of these numbers.

A range is what Optuna calls a distribution, and is not replaced by a fine list: replicates pair by their rows and
seeds whatever the values, and trials are told apart by the very numbers that were proposed. But two trials hardly ever
have the same number, so a range over a setting of stage 1 means that no two trials share that stage: where training is
dear, a list or a step is the better choice for those.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from study.config.values import value_faults
from trainables.rules import did_you_mean, is_number, is_whole
from trainables.settings import TrialSettings

_KEYS = ("low", "high", "log", "step")
# A list of more steps is a mistake in one of the three numbers.
_MOST_STEPS = 10_000


@dataclass(frozen=True)
class Range:
    """All numbers between two, both included.

    Attributes
    ----------
    low, high
        The ends, ``low < high``.
    log
        Whether equal factors are equally likely, instead of equal distances.
    whole
        Whether only whole numbers belong to it.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __contains__(self, value: object) -> bool:
        return is_number(value) and self.low <= value <= self.high and (is_whole(value) or not self.whole)  # type: ignore[operator]

    def at(self, share: float) -> float:
        """Return the number at a share in [0, 1] of the way from the lower end to the upper.

        Examples
        --------
        >>> Range(1, 100, log=True, whole=True).at(0.5), Range(0.0, 2.0).at(0.25)
        (10, 0.5)
        """
        straight = self.low + (self.high - self.low) * share
        found = self.low * (self.high / self.low) ** share if self.log else straight
        found = min(max(found, self.low), self.high)  # rounding may lead over an end
        return round(found) if self.whole else float(found)

    @property
    def mean(self) -> float:
        """The mean of a number that is drawn from it."""
        if self.log:
            return (self.high - self.low) / math.log(self.high / self.low)
        return (self.low + self.high) / 2


Axis = tuple[Any, ...] | Range


def axis_of(name: str, given: Any) -> Axis:
    """Return what a space gives for a setting, in which :func:`axis_faults` finds nothing.

    Examples
    --------
    >>> axis_of("copies", [1, 2])
    (1, 2)
    >>> axis_of("strength", {"low": 0.05, "high": 0.2, "step": 0.05})
    (0.05, 0.1, 0.15, 0.2)
    >>> axis_of("copies", {"low": 1, "high": 4})
    Range(low=1, high=4, log=False, whole=True)
    """
    if not isinstance(given, Mapping):
        return tuple(given)
    low, high, step = given["low"], given["high"], given.get("step")
    if step is None:
        return Range(low, high, bool(given.get("log", False)), _number_kind(name) is int)
    kind = _number_kind(name) or float
    # In decimals, so that the values are those that a person would write.
    first, apart = Decimal(str(low)), Decimal(str(step))
    return tuple(kind(first + n * apart) for n in range(_steps(low, high, step) + 1))


def axes_of(space: Mapping[str, Any]) -> dict[str, Axis]:
    """Return :func:`axis_of` for every setting of a space."""
    return {name: axis_of(name, given) for name, given in space.items()}


def values_of(axis: Axis) -> Sequence[Any] | None:
    """Return all values of an axis in their order; None where there is no end of them."""
    if not isinstance(axis, Range):
        return axis
    return range(int(axis.low), int(axis.high) + 1) if axis.whole else None


def listed_values(name: str, given: Any) -> tuple[Any, ...]:
    """Return the values of a list, or of a range in steps; none of any other range."""
    axis = axis_of(name, given)
    return () if isinstance(axis, Range) else axis


def size_of(axis: Axis) -> float:
    """Return the number of an axis's values, which may be infinite."""
    values = values_of(axis)
    return math.inf if values is None else len(values)


def middle_of(axis: Axis) -> Any:
    """Return a value in the middle of an axis."""
    return axis.at(0.5) if isinstance(axis, Range) else axis[len(axis) // 2]


def mean_of(axis: Axis) -> float:
    """Return the mean of an axis of numbers."""
    return axis.mean if isinstance(axis, Range) else sum(axis) / len(axis)


def largest_of(axis: Axis) -> float:
    """Return the largest value of an axis of numbers."""
    return axis.high if isinstance(axis, Range) else float(max(axis))


def allows(name: str, given: Any, value: object) -> bool:
    """Return whether a value is one of those that a space gives for a setting; of a faulty axis none is."""
    return not axis_faults("", name, given) and value in axis_of(name, given)


def axis_words(given: Any, word: Any = str) -> str:
    """Return what a space gives for a setting, in words; ``word`` writes a value.

    Examples
    --------
    >>> axis_words((1, 2)), axis_words({"low": 1e-5, "high": 1e-3, "log": True})
    ('1, 2', '1e-05 to 0.001 (log)')
    """
    if not isinstance(given, Mapping):
        return ", ".join(map(word, given))
    how = " (log)" if given.get("log") else f" in steps of {word(given['step'])}" if "step" in given else ""
    return f"{word(given['low'])} to {word(given['high'])}{how}"


def axis_faults(where: str, name: str, given: Any) -> list[str]:
    """Return what is wrong with what a space gives for a setting that there is.

    Parameters
    ----------
    where
        Name of the space.
    name, given
        The setting, and what stands there.
    """
    said = f"{where}[{name!r}] is {given!r}"
    if isinstance(given, Mapping):
        return _range_faults(said, name, given)
    if not isinstance(given, (tuple, list)) or not given:
        return [
            f'{said}: a list of at least one value, or a range such as {{"low": 0.1, "high": 0.9}}, was expected.'
        ]
    wrong = [fault for value in given for fault in value_faults(name, value)]
    if wrong:
        return list(dict.fromkeys(wrong))
    if any(value in given[:place] for place, value in enumerate(given)):  # 1 and 1.0 are one value
        return [f"{said}: it names a value twice, name each once."]
    return []


def _range_faults(said: str, name: str, given: Mapping[str, Any]) -> list[str]:
    kind = _number_kind(name)
    if kind is None:
        return [f"{said}: {name} is no number, so it has no range; a list of its values was expected."]
    faults = [
        f"{said}: a range has low and high, and may have log or step, but no {key!r}.{did_you_mean(key, _KEYS)}"
        for key in given
        if key not in _KEYS
    ]
    faults += [f"{said}: {end} is missing." for end in ("low", "high") if end not in given]
    ends = {end: given[end] for end in ("low", "high") if end in given}
    for end, value in ends.items():
        wrong = (
            value_faults(name, value)
            if is_number(value)
            else [f"{name} is {value!r}: a number was expected."]
        )
        faults += [f"{said}: {end}: {fault}" for fault in wrong]
    log, step = given.get("log", False), given.get("step")
    if not isinstance(log, bool):
        faults.append(f"{said}: log is {log!r}: true or false was expected.")
    if step is not None and log:
        faults.append(
            f"{said}: log and step exclude each other; numbers in equal factors are given as a list."
        )
    if "step" in given and not (is_whole(step) if kind is int else is_number(step)):
        faults.append(f"{said}: step is {step!r}: a {'whole ' * (kind is int)}number above 0 was expected.")
    if len(ends) < 2 or not all(map(is_number, ends.values())):
        return faults
    low, high = ends["low"], ends["high"]
    if low >= high:
        faults.append(
            f"{said}: it is empty or a single number: low has to be below high. One value is given as a list of it."
        )
    if log is True and low <= 0:
        faults.append(f"{said}: low is {low!r}, and on a logarithmic scale it has to be above 0.")
    return faults + (_step_faults(said, low, high, step) if is_number(step) and low < high else [])


def _step_faults(said: str, low: float, high: float, step: Any) -> list[str]:
    if step <= 0:
        return [f"{said}: step is {step!r}: a number above 0 was expected."]
    if (steps := _steps(low, high, step)) > _MOST_STEPS:
        return [
            f"{said}: these are {steps:,} values, more than {_MOST_STEPS:,}: leave step out, or raise it."
        ]
    last = Decimal(str(low)) + steps * Decimal(str(step))
    if last == Decimal(str(high)):
        return []
    return [f"{said}: step does not lead from low to high: the last value would be {last}. Make that high."]


def _steps(low: float, high: float, step: float) -> int:
    return int((Decimal(str(high)) - Decimal(str(low))) / Decimal(str(step)))


def _number_kind(name: str) -> type[int] | type[float] | None:
    """Return what numbers a setting takes, as the class of its values has it; None where it takes none."""
    annotated = str(_TYPES[name]).split(" | ")
    return int if "int" in annotated else float if "float" in annotated else None


_TYPES = {field.name: field.type for field in dataclasses.fields(TrialSettings)}
