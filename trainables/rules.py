"""What values a setting may take: each rule stands beside its field and says in words what it expects."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """What values a setting may take.

    Attributes
    ----------
    expected
        The values in words, e.g. ``a number in (0, 1]``.
    holds
        Whether a value is one of them.
    choices
        The names to choose from, if the value is a choice among names.
    """

    expected: str
    holds: Callable[[Any], bool]
    choices: tuple[str, ...] = ()

    def fault(self, subject: str, value: object) -> str | None:
        """Return what is wrong with a value, or None where nothing is.

        Parameters
        ----------
        subject
            What has the value, in words for people.
        value
            The value.

        Examples
        --------
        >>> one_of("keep", "reinit").fault("head", "reinitt")
        "head is 'reinitt': one of keep, reinit was expected. Did you mean 'reinit'?"
        """
        if self.holds(value):
            return None
        if self.choices:
            return unknown(subject, value, self.choices)
        return f"{subject} is {value!r}: {self.expectation}"

    @property
    def expectation(self) -> str:
        """The sentence that says what was expected, for a message about a value that is wrong."""
        comma = "," if ", or " in self.expected else ""
        return f"{self.expected}{comma} was expected."


def is_whole(value: object) -> bool:
    """Return whether a value is a whole number; True and False are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Return whether a value is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def unknown(name: str, value: object, choices: Sequence[str]) -> str:
    """Return what is wrong with a name that is not one of the known ones."""
    return f"{name} is {value!r}: one of {', '.join(choices)} was expected.{did_you_mean(value, choices)}"


def did_you_mean(name: object, known: Sequence[str]) -> str:
    """Return a question to append to a message about an unknown name; empty if no known name is close to it.

    Examples
    --------
    >>> did_you_mean("strenght", ["copies", "strength"])
    " Did you mean 'strength'?"
    """
    close = difflib.get_close_matches(str(name), known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def whole(least: int | None = None) -> Rule:
    """Return the rule for a whole number of at least ``least``."""
    bound = "" if least is None else f" of at least {least}"
    return Rule(f"a whole number{bound}", lambda v: is_whole(v) and (least is None or v >= least))


def number(expected: str, holds: Callable[[float], bool]) -> Rule:
    """Return the rule for a finite number."""
    return Rule(expected, lambda v: is_number(v) and holds(v))


def one_of(*choices: str) -> Rule:
    """Return the rule for a choice among names."""
    return Rule(f"one of {', '.join(choices)}", lambda v: isinstance(v, str) and v in choices, choices)


def optional(rule: Rule) -> Rule:
    """Return the rule for a value that may also be None."""
    return Rule(f"{rule.expected}, or none", lambda v: v is None or rule.holds(v))


ANY_NUMBER = number("a finite number", lambda v: True)
POSITIVE = number("a number above 0", lambda v: v > 0)
NOT_NEGATIVE = number("a number of at least 0", lambda v: v >= 0)
SHARE = number("a number in (0, 1]", lambda v: 0 < v <= 1)
BETWEEN = number("a number in (0, 1)", lambda v: 0 < v < 1)
BELOW_ONE = number("a number in [0, 1)", lambda v: 0 <= v < 1)
TEXT = Rule("a text", lambda v: isinstance(v, str))
YES_OR_NO = Rule("true or false", lambda v: isinstance(v, bool))
LIST = Rule("a list", lambda v: isinstance(v, (tuple, list)))
NAMES = Rule(
    "a list of names, each once",
    lambda v: LIST.holds(v) and all(isinstance(name, str) for name in v) and len({*v}) == len(v),
)
OBJECT = Rule("a JSON object", lambda v: isinstance(v, Mapping))


def ruled(default: Any, rule: Rule, **marks: bool) -> Any:
    """Return a dataclass field with its default and its rule.

    Parameters
    ----------
    default
        The default; if it is an empty mapping, each object gets its own.
    rule
        What values it may take.
    marks
        Other properties of the field, for :func:`marked`.
    """
    metadata = {"rule": rule, **marks}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=dict, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def rules_of(settings: Any) -> dict[str, Rule]:
    """Return the rules of a dataclass by field name; fields without a rule are left out."""
    return {f.name: f.metadata["rule"] for f in dataclasses.fields(settings) if "rule" in f.metadata}


def marked(settings: Any, mark: str) -> tuple[str, ...]:
    """Return the fields of a dataclass that carry a mark."""
    return tuple(f.name for f in dataclasses.fields(settings) if f.metadata.get(mark))


def field_faults(settings: Any, names: Iterable[str] | None = None) -> dict[str, str]:
    """Return what is wrong with the fields of a dataclass, by name; ``names`` limits the check to some fields."""
    rules = rules_of(settings)
    faults = {
        name: rules[name].fault(name, getattr(settings, name)) for name in (rules if names is None else names)
    }
    return {name: fault for name, fault in faults.items() if fault is not None}
