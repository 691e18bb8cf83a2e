"""Augmentation operators by name.

A new operator is one new module with ``build(strength, encoder, **options)``, which returns an
:class:`trainables.augment.operator.Operator`, one line in :data:`OPERATORS`, one in ``PAIRS`` of
:mod:`benchmarks.augmentation` (what it is timed against), and a subclass of the contract in
``tests/trainables/augment/contract.py``.

An operator that needs data or a model that may be missing also defines ``why_unavailable(**options)``, which says what
is missing and how to get it, or returns None; where the operator uses the encoder, that is passed as ``encoder``.
Modules are imported when they are used: nlpaug takes seconds.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainables.augment.reach import WithinReach, words_in_reach
from trainables.errors import ConfigurationError

if TYPE_CHECKING:
    from trainables.augment.operator import Operator
    from trainables.reuse.cache import ContentCache
    from trainables.settings import EncoderSettings


@dataclass(frozen=True)
class OperatorFactory:
    """Where an operator is made.

    Attributes
    ----------
    module
        Importable module with ``build(strength, encoder, **options)``.
    version
        Raised whenever the operator's output changes; part of every cache key.
    uses_encoder
        Whether the output depends on the encoder.
    options
        Names of the options that ``build`` takes.
    caches
        Whether ``build`` takes the keyword ``cache``: what the operator gets is paid for and kept.
    has_identity
        Whether the output depends on what options do not show (a folder's files, the environment): the module has
        ``identity(**options)``, which returns it for cache keys.
    computes
        Whether a model writes the texts, where and in the precision in which the encoder computes.
    rules
        Importable module, light enough to be loaded for a check, whose ``option_faults(**options)`` says what is wrong
        with the options' values.
    """

    module: str
    version: int
    uses_encoder: bool
    options: tuple[str, ...] = ()
    caches: bool = False
    has_identity: bool = False
    computes: bool = False
    rules: str | None = None

    @property
    def asks_a_model(self) -> bool:
        """Whether a model writes the texts, here or elsewhere: its work is bounded to what the encoder reads."""
        return self.computes or self.caches

    def __call__(
        self,
        strength: float,
        encoder: EncoderSettings,
        options: Mapping[str, Any] | None = None,
        cache: ContentCache | None = None,
    ) -> Operator:
        """Import the module and make the operator."""
        given = {**(options or {}), **({"cache": cache} if self.caches else {})}
        operator: Operator = importlib.import_module(self.module).build(strength, encoder, **given)
        return WithinReach(operator, words_in_reach(encoder)) if self.asks_a_model else operator


_CONTEXTUAL_OPTIONS = ("model", "top_k", "temperature", "masked_at_once")

OPERATORS: dict[str, OperatorFactory] = {
    "embedding_neighbours": OperatorFactory(
        "trainables.augment.operators.embedding_neighbours", 3, uses_encoder=True
    ),
    "wordnet_synonyms": OperatorFactory(
        "trainables.augment.operators.wordnet_synonyms",
        2,
        uses_encoder=False,
        options=("directory",),
        has_identity=True,
    ),
    "eda": OperatorFactory(
        "trainables.augment.operators.eda", 2, uses_encoder=False, options=("directory",), has_identity=True
    ),
    "aeda": OperatorFactory("trainables.augment.operators.aeda", 2, uses_encoder=False),
    "random_swap": OperatorFactory("trainables.augment.operators.random_swap", 2, uses_encoder=False),
    "random_delete": OperatorFactory("trainables.augment.operators.random_delete", 2, uses_encoder=False),
    "random_crop": OperatorFactory("trainables.augment.operators.random_crop", 2, uses_encoder=False),
    "spelling_noise": OperatorFactory("trainables.augment.operators.spelling_noise", 2, uses_encoder=False),
    "keyboard_noise": OperatorFactory("trainables.augment.operators.keyboard_noise", 2, uses_encoder=False),
    "ocr_noise": OperatorFactory("trainables.augment.operators.ocr_noise", 2, uses_encoder=False),
    "back_translation": OperatorFactory(
        "trainables.augment.operators.back_translation",
        2,
        uses_encoder=False,
        options=("engine", "pivots", "models", "decoding", "temperature", "top_k", "forward", "backward"),
        rules="trainables.augment.operators.pivots",
        has_identity=True,
        computes=True,
    ),
    "contextual_insertion": OperatorFactory(
        "trainables.augment.operators.contextual_insertion",
        2,
        uses_encoder=True,
        options=_CONTEXTUAL_OPTIONS,
        has_identity=True,
        computes=True,
    ),
    "contextual_substitution": OperatorFactory(
        "trainables.augment.operators.contextual_substitution",
        2,
        uses_encoder=True,
        options=_CONTEXTUAL_OPTIONS,
        has_identity=True,
        computes=True,
    ),
    "paraphrase": OperatorFactory(
        "trainables.augment.operators.paraphrase",
        1,
        uses_encoder=False,
        options=("temperature",),
        caches=True,
        has_identity=True,
    ),
}


def _factory(name: str) -> OperatorFactory:
    if name not in OPERATORS:
        raise ConfigurationError(f"unknown operator {name!r}: expected one of {', '.join(sorted(OPERATORS))}")
    return OPERATORS[name]


def make_operator(
    name: str,
    strength: float,
    encoder: EncoderSettings,
    options: Mapping[str, Any] | None = None,
    cache: ContentCache | None = None,
) -> Operator:
    """Return an operator by name.

    Parameters
    ----------
    name
        Key of :data:`OPERATORS`.
    strength
        Share of the words of a text that it may change, in (0, 1].
    encoder
        The pretrained encoder, for operators that use its embeddings or vocabulary.
    options
        Of this operator, see :attr:`OperatorFactory.options`.
    cache
        Where an operator that pays for its output keeps it; None: a folder of the user's.

    Raises
    ------
    ConfigurationError
        The name is unknown, or the strength is outside (0, 1].
    """
    return _factory(name)(strength, encoder, options, cache)


def why_unavailable(
    name: str, options: Mapping[str, Any] | None = None, encoder: EncoderSettings | None = None
) -> str | None:
    """Return what an operator lacks on this machine and how to get it, or None where it can run.

    Parameters
    ----------
    name
        Key of :data:`OPERATORS`.
    options
        Of this operator, see :attr:`OperatorFactory.options`.
    encoder
        The study's encoder, which some operators can use; None for the packaged one.

    Raises
    ------
    ConfigurationError
        The name is unknown.
    """
    factory = _factory(name)
    module = importlib.import_module(factory.module)
    if not hasattr(module, "why_unavailable"):
        return None
    given = dict(options or {})
    if factory.uses_encoder:
        from trainables.settings import EncoderSettings

        given["encoder"] = encoder or EncoderSettings()
    reason: str | None = module.why_unavailable(**given)
    return reason


def option_faults(options: Mapping[str, Any]) -> list[str]:
    """Return a fault for every operator and option in ``{operator: {option: value}}`` that cannot be."""
    faults = []
    for name, given in options.items():
        if name not in OPERATORS:
            faults.append(
                f"operator_options names {name!r}, which is no operator: expected one of "
                f"{', '.join(sorted(OPERATORS))}."
            )
        elif not isinstance(given, Mapping):
            faults.append(f"operator_options[{name!r}] is {given!r}: a JSON object was expected.")
        else:
            faults += _faults_of(name, given)
    return faults


def _faults_of(name: str, given: Mapping[str, Any]) -> list[str]:
    factory = OPERATORS[name]
    unknown = [
        f"operator_options[{name!r}] names {option!r}: {name} takes {', '.join(factory.options) or 'no options'}."
        for option in given
        if option not in factory.options
    ]
    if unknown or factory.rules is None:
        return unknown
    faults: list[str] = importlib.import_module(factory.rules).option_faults(**given)
    return faults


def operator_identity(name: str, options: Mapping[str, Any] | None = None) -> str:
    """Return name and version of an operator, and what its output depends on beside options, for cache keys.

    Raises
    ------
    ConfigurationError
        The name is unknown; what the operator needs is missing.
    """
    factory = _factory(name)
    parts = [name, str(factory.version)]
    if factory.has_identity:
        parts += importlib.import_module(factory.module).identity(**(options or {}))
    return "/".join(parts)
