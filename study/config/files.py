"""One file a study: its corpus, search space, budget and expected result.

A study file defines ``PRESETS``: preset name to the values of :class:`study.config.study.StudyConfig` in which it
differs from the file's ``STUDY``. Adding a study is adding a file here.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

import search_spaces
from study.config.study import StudyConfig
from trainables.errors import ConfigurationError


def known_studies() -> list[str]:
    """Return the names of the study files."""
    return sorted(module.name for module in pkgutil.iter_modules(search_spaces.__path__))


def load_study_file(name: str, preset: str, overrides: Mapping[str, Any]) -> StudyConfig:
    """Return a study's values: its own, then the preset's, then the overrides.

    Raises
    ------
    ConfigurationError
        The study, the preset or an overridden name is unknown.
    """
    if name not in known_studies():
        raise ConfigurationError(
            f"There is no study {name!r}. The studies are: {', '.join(known_studies())}. "
            "A study of your own is a file in search_spaces/."
        )
    module = importlib.import_module(f"search_spaces.{name}")
    if preset not in module.PRESETS:
        raise ConfigurationError(
            f"Study {name!r} has no preset {preset!r}. Its presets are: {', '.join(module.PRESETS)}."
        )
    values: dict[str, Any] = {**module.STUDY, **module.PRESETS[preset], **overrides}
    # One option given on the command line leaves the study's other options as they are.
    options = {**module.STUDY.get("corpus_options", {}), **overrides.get("corpus_options", {})}
    values["corpus_options"] = options
    # The same for the space of one arm.
    levels = (module.STUDY, module.PRESETS[preset], overrides)
    values["arm_spaces"] = {arm: space for level in levels for arm, space in _arm_spaces(level).items()}
    if (
        "space" in overrides and "first" not in overrides
    ):  # the study's own first choice, as far as it still fits
        space = overrides["space"]
        values["first"] = {n: v for n, v in values.get("first", {}).items() if v in space.get(n, ())}
    unknown = [key for key in values if key not in StudyConfig.__dataclass_fields__]
    if unknown:
        raise ConfigurationError(
            [
                f"{key!r} is no value of a study. The values are: {', '.join(StudyConfig.__dataclass_fields__)}."
                for key in unknown
            ]
        )
    return StudyConfig(name=name, preset=preset, **values)


def _arm_spaces(values: Mapping[str, Any]) -> Mapping[str, Any]:
    spaces = values.get("arm_spaces", {})
    if not isinstance(spaces, Mapping):
        raise ConfigurationError(
            f"arm_spaces is {spaces!r}: a JSON object of arms with their grids was expected."
        )
    return spaces
