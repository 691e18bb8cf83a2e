"""What the options of back-translation mean: languages to go through, and what translates; nothing heavy is loaded.

An engine translates from English into a pivot language and back. ``apertium`` is taken unless models are given, so that
neither what is installed nor what can be downloaded decides, unsaid, how a text comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

NAME = "back_translation"
ENGINES = ("apertium", "transformers")
DECODINGS = ("sample", "beam")
APERTIUM_CODES = {"es": "spa", "ca": "cat"}  # pivots of apertium, with its names for them
LANGUAGES = {"de": "German", "ru": "Russian", "es": "Spanish", "ca": "Catalan"}
_OF_DECODING = ("decoding", "temperature", "top_k")
_OF_MODELS = ("models", "forward", "backward", *_OF_DECODING)
_EXAMPLE = (
    '{"engine": "transformers", "pivots": ["de", "ru"], "decoding": "beam", "models": '
    '{"en-de": "facebook/wmt19-en-de@COMMIT", "de-en": "facebook/wmt19-de-en@COMMIT", '
    '"en-ru": "facebook/wmt19-en-ru@COMMIT", "ru-en": "facebook/wmt19-ru-en@COMMIT"}}'
)
GIVE_MODELS = f"give the engine transformers its models (NAME@REVISION or folders): {_EXAMPLE}"


@dataclass(frozen=True)
class Route:
    """The way through one language and back.

    Attributes
    ----------
    pivot
        Code of the language; empty where two models were given without one.
    forward, backward
        What translates there and back: modes of Apertium, or models.
    """

    pivot: str
    forward: str
    backward: str


@dataclass(frozen=True)
class Routes:
    """What the options ask for.

    Attributes
    ----------
    engine
        One of :data:`ENGINES`.
    routes
        Ways that augmentations are spread over, in order.
    decoding
        ``sample``, or ``beam``: the checkpoint's own search, which gives one variant a pivot.
    temperature, top_k
        Of the sampling.
    """

    engine: str
    routes: tuple[Route, ...]
    decoding: str = "sample"
    temperature: float = 0.8
    top_k: int = 50

    @property
    def draws(self) -> bool:
        """Whether the same sentence may come out another time as another one."""
        return self.engine == "transformers" and self.decoding == "sample"


def option_faults(**options: Any) -> list[str]:
    """Return what is wrong with the options, whatever is installed here."""
    given = {name: value for name, value in options.items() if value is not None}
    of_models = [name for name in _OF_MODELS if name in given]
    engine = given.get("engine", _default_engine(given))
    if engine not in ENGINES:
        return [_fault("engine", engine, f"one of {', '.join(ENGINES)}")]
    faults = []
    if "pivots" in given:
        faults += _pivot_faults(given["pivots"])
    if engine == "apertium":
        if of_models:
            faults.append(
                f"option {of_models[0]!r} of the operator {NAME} is for the engine transformers, but engine is "
                f"'apertium': leave one of the two out."
            )
        if not faults:
            faults += [
                f"option 'pivots' of the operator {NAME} names {pivot!r}, for which Apertium has no pair with English "
                f"here: it takes {' and '.join(APERTIUM_CODES)}; for others, {GIVE_MODELS}."
                for pivot in given.get("pivots", ())
                if pivot not in APERTIUM_CODES
            ]
        return faults
    faults += _decoding_faults(given)
    return faults if "pivots" in given and _pivot_faults(given["pivots"]) else faults + _model_faults(given)


def read_options(**options: Any) -> Routes:
    """Return what options without faults ask for."""
    given = {name: value for name, value in options.items() if value is not None}
    engine = given.get("engine", _default_engine(given))
    if engine == "apertium":
        pivots = given.get("pivots", APERTIUM_CODES)
        codes = {pivot: APERTIUM_CODES[pivot] for pivot in pivots}
        routes = tuple(Route(pivot, f"eng-{code}", f"{code}-eng") for pivot, code in codes.items())
        return Routes(engine, routes)
    if "models" in given:
        models = given["models"]
        routes = tuple(
            Route(pivot, models[f"en-{pivot}"], models[f"{pivot}-en"])
            for pivot in given.get("pivots", _pivots_of(models))
        )
    else:
        routes = (Route("", given["forward"], given["backward"]),)
    return Routes(engine, routes, **{name: given[name] for name in _OF_DECODING if name in given})


def _default_engine(given: Mapping[str, Any]) -> str:
    return "transformers" if {"models", "forward", "backward"} & given.keys() else "apertium"


def _decoding_faults(given: Mapping[str, Any]) -> list[str]:
    faults = []
    decoding = given.get("decoding", "sample")
    if decoding not in DECODINGS:
        faults.append(_fault("decoding", decoding, f"one of {', '.join(DECODINGS)}"))
    temperature, top_k = given.get("temperature", 1.0), given.get("top_k", 1)
    if (
        isinstance(temperature, bool)
        or not isinstance(temperature, (int, float))
        or not 0 < temperature < inf
    ):
        faults.append(_fault("temperature", temperature, "a number above 0"))
    if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
        faults.append(_fault("top_k", top_k, "a whole number from 1 on"))
    if decoding == "beam":
        faults += [
            f"option {name!r} of the operator {NAME} is for decoding 'sample', but a beam search draws nothing: leave "
            "it out."
            for name in ("temperature", "top_k")
            if name in given
        ]
    return faults


def _pivots_of(models: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(way.removeprefix("en-").removesuffix("-en") for way in models))


def _pivot_faults(pivots: Any) -> list[str]:
    expected = """a list of language codes, e.g. ["es", "ca"] or ["de", "ru"]"""
    if not isinstance(pivots, (list, tuple)) or not pivots or not all(isinstance(p, str) for p in pivots):
        return [_fault("pivots", pivots, expected)]
    if len(set(pivots)) < len(pivots):
        return [_fault("pivots", pivots, f"{expected}, each once")]
    return [
        _fault("pivots", pivots, f"{expected}; English is the texts' own language")
        for p in pivots
        if p == "en"
    ]


def _model_faults(given: Mapping[str, Any]) -> list[str]:
    pair = [name for name in ("forward", "backward") if name in given]
    if "models" not in given:
        if len(pair) == 2 and "pivots" not in given:
            return []
        if pair and "pivots" not in given:
            lacking = "backward" if pair == ["forward"] else "forward"
            return [
                f"option {lacking!r} of the operator {NAME} is missing: {pair[0]} translates one way only."
            ]
        return [f"operator {NAME}: {GIVE_MODELS}."]
    models = given["models"]
    if pair:
        return [f"options 'models' and {pair[0]!r} of the operator {NAME} exclude each other: leave one out."]
    if not isinstance(models, Mapping) or not models:
        return [_fault("models", models, 'an object of directions and models, e.g. {"en-de": …, "de-en": …}')]
    strange = [way for way in models if not _is_way(way)]
    if strange:
        return [
            _fault("models", way, 'directions from or to English as its names, e.g. "en-de", "de-en"')
            for way in strange
        ]
    pivots = given.get("pivots", _pivots_of(models))
    asked = [way for pivot in pivots for way in (f"en-{pivot}", f"{pivot}-en")]
    lacking_ways = [way for way in asked if way not in models]
    faults = [
        f"option 'models' of the operator {NAME} has no {way!r} ({_described(way)}): name that model too"
        f"{', or leave the pivot out' if len(pivots) > 1 else ''}."
        for way in lacking_ways
    ]
    return faults + [
        f"option 'models' of the operator {NAME} has {way!r}, which no pivot of {list(pivots)!r} needs: add the pivot, "
        "or leave the model out."
        for way in models
        if way not in asked
    ]


def _is_way(way: Any) -> bool:
    parts = way.split("-") if isinstance(way, str) else []
    return (
        len(parts) == 2
        and parts.count("en") == 1
        and all(part.isalpha() and part.islower() for part in parts)
    )


def _described(way: str) -> str:
    return " to ".join({"en": "English", **LANGUAGES}.get(code, code) for code in way.split("-"))


def _fault(option: str, value: Any, expected: str) -> str:
    return f"option {option!r} of the operator {NAME} is {value!r}: expected {expected}."
