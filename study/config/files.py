"""A study's values: its file's, then a preset's, then those of the command line.

A study file defines ``STUDY``, the values of :class:`study.config.study.StudyConfig`, and ``PRESETS``, which gives for
each preset the values that differ from ``STUDY``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from study.config.faults import study_faults
from study.config.places import with_absolute_paths
from study.config.ranges import allows
from study.config.study import StudyConfig
from study.config.study_files import read
from trainables.errors import ConfigurationError
from trainables.rules import did_you_mean, marked


def load_study_file(name: str, preset: str, overrides: Mapping[str, Any]) -> StudyConfig:
    """Return a study's values: its own, then the preset's, then the overrides.

    Parameters
    ----------
    name
        Name of a study of ``search_spaces/``, or the path of a study file.
    preset, overrides
        The preset, and values that replace the file's.

    Raises
    ------
    ConfigurationError
        The study, the preset or an overridden name is unknown, or the file cannot be used.
    """
    config, faults = read_study_file(name, preset, overrides)
    if faults:
        raise ConfigurationError(faults)
    return config


def read_study_file(name: str, preset: str, overrides: Mapping[str, Any]) -> tuple[StudyConfig, list[str]]:
    """Return a study's values as far as they are known, and a fault for every unknown name in its file or asked for.

    Where the preset is unknown, the values are those of the study's first preset.

    Raises
    ------
    ConfigurationError
        The study is unknown or its file cannot be used, so there are no values to check further.
    """
    file = read(name)
    faults = [*file.faults]
    if preset not in file.presets:
        faults.append(
            f"Study {file.name!r} has no preset {preset!r}. Its presets are: {', '.join(file.presets)}."
        )
        preset = next(iter(file.presets))
    known = StudyConfig.__dataclass_fields__.keys() - {"name", "preset"}
    faults += [_unknown_value(key, sorted(known)) for key in overrides if key not in known]
    levels = (file.study, file.presets[preset], {k: v for k, v in overrides.items() if k in known})
    values: dict[str, Any] = {key: value for level in levels for key, value in level.items()}
    # A corpus option given on the command line leaves the study's other corpus options as they are; likewise the
    # space of one arm those of the others, and a value of the paper's recipe its others.
    for merged in ("corpus_options", "arm_spaces", "paper"):
        given = [level[merged] for level in levels if merged in level]
        if all(isinstance(value, Mapping) for value in given):
            values[merged] = {key: value for level in given for key, value in level.items()}
    # Where another space is given, the study's own first trial keeps the values that still fit.
    space = overrides.get("space")
    if isinstance(space, Mapping) and "first" not in overrides:
        first = values.get("first", {})
        if isinstance(first, Mapping):
            values["first"] = {n: v for n, v in first.items() if n in space and allows(n, space[n], v)}
    # A budget of the preset is for its own sizes: who gives a size asks for that, however long it takes.
    if "minutes" not in overrides and overrides.keys() & {*marked(StudyConfig, "sized")}:
        values["minutes"] = None
    values = {"name": file.name, "preset": preset, **with_absolute_paths(values)}
    if "corpus" not in values:  # there is nothing to read, so whatever else is wrong is told here
        raise ConfigurationError([*faults, *study_faults(StudyConfig(corpus="tabular", **values))])
    return StudyConfig(**values), faults


def _unknown_value(name: str, known: Sequence[str]) -> str:
    return f"{name!r} is no value of a study.{did_you_mean(name, known)} The values are: {', '.join(known)}."
