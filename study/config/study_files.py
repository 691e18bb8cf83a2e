"""What a study file holds, read with a message for everything that can be wrong with it.

A file of the user's own is given by its path and may lie anywhere. It is compiled each time: nothing is written beside
it, and what it holds is what is run.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import search_spaces
from study.config.presets import presets
from study.config.study import StudyConfig
from trainables.corpora.registry import CORPORA
from trainables.errors import ConfigurationError
from trainables.rules import did_you_mean, unknown

FACT = "study_file"  # in study.json: the file of a user's own study
_SHIPPED = Path(search_spaces.__path__[0]).resolve()
_EXAMPLE = 'STUDY = {**PREFINETUNING, "corpus": "tabular", "data": "my.csv"}'


@dataclass(frozen=True)
class StudyFile:
    """The contents of a study file.

    Attributes
    ----------
    name
        Name of the study: that of the file, without ``.py``.
    study, presets
        Its values, and by preset those that differ.
    published
        Figures that were published for it.
    faults
        What is wrong with the names in it; the values are those that are left.
    """

    name: str
    study: Mapping[str, Any]
    presets: Mapping[str, Mapping[str, Any]]
    published: Sequence[Any] = ()
    faults: Sequence[str] = ()


def known_studies() -> list[str]:
    """Return the names of the study files of ``search_spaces/``."""
    return sorted(module.name for module in pkgutil.iter_modules(search_spaces.__path__))


def first_lines() -> dict[str, str]:
    """Return the first line of each of these files: what the study is. None of them is run."""
    files = ((name, _SHIPPED / f"{name}.py") for name in known_studies())
    docs = ((name, ast.get_docstring(ast.parse(file.read_bytes())) or "") for name, file in files)
    return {name: doc.partition("\n")[0] for name, doc in docs}


def is_path(given: str) -> bool:
    """Return whether a study is given by the path of its file.

    Examples
    --------
    >>> is_path("./my_study"), is_path("my_study.py"), is_path("adme")
    (True, True, False)
    """
    return os.sep in given or given.endswith(".py")


def study_name(given: str) -> str:
    """Return the name of a study that is given by name or by the path of its file.

    Examples
    --------
    >>> study_name("../studies/my_study.py"), study_name("adme")
    ('my_study', 'adme')
    """
    return Path(given).name.removesuffix(".py") if is_path(given) else given


def file_facts(given: str) -> dict[str, str] | None:
    """Return where the file of a user's own study lies, and what it held; None for a study of ``search_spaces/``."""
    if not is_path(given) or _is_shipped(Path(given)):
        return None
    path = Path(given).expanduser().resolve()
    return {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def published_in(facts: Mapping[str, str]) -> Sequence[Any]:
    """Return what was published for a user's own study; nothing where its file is another one by now."""
    path = Path(facts["path"])
    return load(facts["path"]).published if path.is_file() and file_facts(facts["path"]) == facts else ()


def taken_name_faults(given: str) -> list[str]:
    """Return why a study of the user's own cannot be kept under the name of its file."""
    name = study_name(given)
    if name not in known_studies() or not is_path(given) or _is_shipped(Path(given)):
        return []
    return [
        f"{given}: {name!r} is the name of a study in search_spaces/, so the results of both would lie in one folder. "
        "Rename the file, or keep its results under another name (--as NAME)."
    ]


def load(given: str) -> StudyFile:
    """Return the contents of a study file.

    Parameters
    ----------
    given
        Name of a study of ``search_spaces/``, or the path of a file.

    Raises
    ------
    ConfigurationError
        There is no such study, or its file cannot be used; with everything that is wrong with it.
    """
    file = read(given)
    if file.faults:
        raise ConfigurationError(file.faults)
    return file


def read(given: str) -> StudyFile:
    """Return the contents of a study file, with the faults beside which its other values can still be checked.

    Raises
    ------
    ConfigurationError
        There is no such study, or its file holds no values.
    """
    if not is_path(given):
        if given not in known_studies():
            raise ConfigurationError(_no_such_study(given))
        return _contents(importlib.import_module(f"search_spaces.{given}"), given, given)
    if _is_shipped(Path(given)):
        return read(study_name(given))
    return _contents(_run(Path(given).expanduser(), given), given, study_name(given))


def _is_shipped(path: Path) -> bool:
    found = path.expanduser().resolve()
    return found.parent == _SHIPPED and found.stem in known_studies()


def _no_such_study(given: str) -> str:
    own = f" ./{given}.py is a file: give its path." if Path(f"{given}.py").is_file() else ""
    return (
        f"There is no study {given!r}.{did_you_mean(given, known_studies())}{own} The studies are: "
        f"{', '.join(known_studies())}. A study of your own is a file in search_spaces/ or, by its path, any other "
        "file: ./my_study.py."
    )


def _run(path: Path, given: str) -> ModuleType:
    """Return the module of a file, whatever that file does."""
    if path.is_dir():
        raise ConfigurationError(
            f"{given} is a folder: the path of a study file was expected, e.g. ./my_study.py."
        )
    try:
        source = path.read_bytes()
    except OSError as error:
        beside = " Did you mean " + given + ".py?" if Path(f"{path}.py").is_file() else ""
        raise ConfigurationError(
            f"{given}: the study file cannot be read ({error.strerror}).{beside} Give the path of a Python file that "
            f"defines STUDY."
        ) from error
    module = ModuleType(f"own_study_{study_name(given)}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look themselves up there
    try:
        exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)
    except SyntaxError as error:
        if error.filename != str(path):
            raise _stopped(error, path, given) from error
        line = "" if error.lineno is None else f", line {error.lineno}"
        shown = f": {error.text.strip()}" if error.text else ""
        raise ConfigurationError(f"{given}{line}: this is no Python ({error.msg}){shown}") from error
    except (Exception, SystemExit) as error:
        raise _stopped(error, path, given) from error
    return module


def _stopped(error: BaseException, path: Path, given: str) -> ConfigurationError:
    """Return the fault of a file that raised something, with the line of that file."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    where = f", line {lines[-1]}" if lines else ""
    said = f"{type(error).__name__}: {error}".removesuffix(": ")
    return ConfigurationError(f"{given}{where}: the study file stops with {said}")


def _contents(module: ModuleType, given: str, name: str) -> StudyFile:
    if not hasattr(module, "STUDY"):
        raise ConfigurationError(
            f"{given}: the file defines no STUDY. It needs the values of a study, e.g. {_EXAMPLE} after "
            "`from study.config.presets import PREFINETUNING`."
        )
    study, of_presets = module.STUDY, getattr(module, "PRESETS", presets())
    faults = _level_faults(f"{given}: STUDY", study)
    if not isinstance(study, Mapping):
        raise ConfigurationError(faults)
    study = _known(study)
    corpus = study.get("corpus")
    if corpus is None:
        faults.append(f"{given}: STUDY names no corpus: one of {', '.join(CORPORA)} was expected.")
    elif not isinstance(corpus, str) or corpus not in CORPORA:
        faults.append(unknown(f"{given}: STUDY['corpus']", corpus, tuple(CORPORA)))
        del study["corpus"]
    if not isinstance(of_presets, Mapping) or not of_presets:
        faults.append(
            f"{given}: PRESETS is {of_presets!r}: an object of values by preset was expected, e.g. "
            '{"smoke": {"trials": 4}}; without PRESETS a study has those of study.config.presets.'
        )
        of_presets = presets()
    else:
        faults += [
            fault
            for preset, values in of_presets.items()
            for fault in _level_faults(f"{given}: PRESETS[{preset!r}]", values)
        ]
    levels = {preset: _known(v) if isinstance(v, Mapping) else {} for preset, v in of_presets.items()}
    return StudyFile(name, study, levels, getattr(module, "PUBLISHED", ()), faults)


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in StudyConfig.__dataclass_fields__}


def _level_faults(where: str, values: object) -> list[str]:
    """Return what is wrong with the names of some of a study's values."""
    if not isinstance(values, Mapping):
        return [f"{where} is {values!r}: an object of values by name was expected."]
    known = sorted(StudyConfig.__dataclass_fields__.keys() - {"name", "preset"})
    faults = [
        f"{where} names {key!r}, which is no value of a study.{did_you_mean(key, known)}"
        for key in values
        if key not in known
    ]
    return faults and [*faults[:-1], f"{faults[-1]} The values of a study are: {', '.join(known)}."]
