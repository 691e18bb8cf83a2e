"""Augmentation operators by name.

A new operator is one new module with ``build(strength, encoder)``, which returns an
:class:`trainables.augment.operator.Operator`, and one line in :data:`OPERATORS`. Modules are imported when
they are used: nlpaug takes seconds.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainables.errors import ConfigurationError

if TYPE_CHECKING:
    from trainables.augment.operator import Operator
    from trainables.encoder import EncoderSettings


@dataclass(frozen=True)
class OperatorFactory:
    """Where an operator is made.

    Attributes
    ----------
    module
        Importable module with ``build(strength, encoder)``.
    version
        Raised whenever the operator's output changes; part of every cache key.
    uses_encoder
        Whether the output depends on the encoder.
    """

    module: str
    version: int
    uses_encoder: bool

    def __call__(self, strength: float, encoder: EncoderSettings) -> Operator:
        """Import the module and make the operator."""
        operator: Operator = importlib.import_module(self.module).build(strength, encoder)
        return operator


OPERATORS: dict[str, OperatorFactory] = {
    "embedding_neighbours": OperatorFactory("trainables.augment.embedding_neighbours", 1, uses_encoder=True),
    "random_words": OperatorFactory("trainables.augment.random_words", 1, uses_encoder=False),
}


def _factory(name: str) -> OperatorFactory:
    if name not in OPERATORS:
        raise ConfigurationError(f"unknown operator {name!r}: expected one of {', '.join(sorted(OPERATORS))}")
    return OPERATORS[name]


def make_operator(name: str, strength: float, encoder: EncoderSettings) -> Operator:
    """Return an operator by name.

    Parameters
    ----------
    name
        Key of :data:`OPERATORS`.
    strength
        Share of the words of a text that it may change, in (0, 1].
    encoder
        The pretrained encoder, for operators that use its embeddings or vocabulary.

    Raises
    ------
    ConfigurationError
        The name is unknown, or the strength is outside (0, 1].
    """
    return _factory(name)(strength, encoder)


def operator_identity(name: str) -> str:
    """Return name and version of an operator, for cache keys.

    Raises
    ------
    ConfigurationError
        The name is unknown.
    """
    return f"{name}/{_factory(name).version}"
