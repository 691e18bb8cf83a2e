"""What every setting is, from where it is defined: its default, the values that it may take, its readers, its words."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from study.config.study import StudyConfig
from study.config.values import rule_of
from trainables.method.arms import ARMS, settings_of
from trainables.rules import rules_of
from trainables.settings import SEARCHABLE, TrialSettings

OF_TRIALS, OF_STUDIES = "trial", "study"


@dataclass(frozen=True)
class Described:
    """A setting of a trial, which a space may search, or a value of a study.

    Attributes
    ----------
    name
        Its name.
    of
        ``trial`` or ``study``.
    default
        Its default.
    expected
        The values that it may take, in words.
    read_by
        Arms that read it; nothing for a value of a study.
    meaning
        What it is.
    """

    name: str
    of: str
    default: Any
    expected: str
    read_by: tuple[str, ...]
    meaning: str

    @property
    def readers(self) -> str:
        """The arms that read it, in words: where most do, those that do not."""
        others = [arm for arm in ARMS if arm not in self.read_by]
        if self.of == OF_STUDIES:
            return ""
        if not others:
            return "every arm"
        if len(others) < len(self.read_by):
            return f"every arm but {', '.join(others)}"
        return ", ".join(self.read_by)


def described_settings() -> dict[str, Described]:
    """Return every setting by name: first those of trials, then the values of studies."""
    words = attribute_words(TrialSettings)
    trial = [
        Described(
            name,
            OF_TRIALS,
            getattr(TrialSettings, name),
            rule_of(name).expected,
            tuple(arm for arm in ARMS if name in settings_of(arm)),
            words[name],
        )
        for name in SEARCHABLE
    ]
    words = attribute_words(StudyConfig)
    defaults = {f.name: _default(f) for f in dataclasses.fields(StudyConfig)}
    study = [
        Described(name, OF_STUDIES, defaults[name], rule.expected, (), words[name])
        for name, rule in rules_of(StudyConfig).items()
    ]
    return {each.name: each for each in (*trial, *study)}


def attribute_words(described: type) -> Mapping[str, str]:
    """Return what a class's docstring says of each attribute (numpydoc), the names of one entry sharing its words."""
    _, _, attributes = inspect.cleandoc(described.__doc__ or "").partition("Attributes\n----------\n")
    words: dict[str, str] = {}
    for names, text in re.findall(r"^(\w[\w, ]*)\n((?:    .*(?:\n|$))+)", attributes, re.MULTILINE):
        for name in re.split(r",\s*", names):
            words[name] = _plain(" ".join(text.split()))
    return words


def _plain(text: str) -> str:
    """Return words without the marks of a docstring."""
    return re.sub(r":\w+:`~?([^`]*)`", r"\1", text).replace("``", "")


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default
