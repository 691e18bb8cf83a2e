"""Translate sentences there and back (Sennrich et al. 2016) through one or several pivot languages.

The paper (Shi et al. 2022) used the library nlpaug, which runs the FSMT models wmt19 en-de/de-en and en-ru/ru-en (Ng et
al. 2019) with beam search: one variant a pivot, and two pivots, German and Russian, for variety. These models run here
too, and any others of transformers (Marian's opus-mt, for example), with ``engine`` transformers: sampled both ways
(Edunov et al. 2018), so that a pivot gives many variants, or with the paper's decoding (``decoding`` beam). They are
pretrained neural models of about a gigabyte each, to be named with their commits.

The default, ``apertium``, asks for no model: a rule-based translator from Debian's packages
(:mod:`trainables.augment.models.apertium`), through Spanish and Catalan. It is a stand-in for the paper's models, not
their equal: it knows no context and writes clumsier English. Of twenty paragraphs of drug labels that were read, values
and topic survived in all; of ten through Spanish one changed its meaning somewhere, of ten through Catalan six did
("volume of distribution" as its bulk, children as boys). On two busy cores it translates about 2,500 words a second
there and back through Spanish, 1,100 through Catalan; it leaves a fifth, or an eighth, of the sentences as they were.
Which engine made a text enters every cache key.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import NamedTuple, Protocol

from trainables.augment.english.sentences import split_sentences
from trainables.augment.models.apertium import PROGRAM, installed, open_translator, version_of
from trainables.augment.models.gumbel import hash_of
from trainables.augment.models.model_source import model_digest, model_source, source_fault
from trainables.augment.operators.pivots import (
    APERTIUM_CODES,
    GIVE_MODELS,
    NAME,
    Route,
    Routes,
    option_faults,
    read_options,
)
from trainables.augment.operators.whole_text import WholeTextOperator, is_rewriting
from trainables.errors import ConfigurationError
from trainables.model.encoder import resolve_device, resolve_precision
from trainables.settings import EncoderSettings

_TRIES = 3
_TOKENIZER = {
    "wmt19-": "sacremoses",
    "opus-mt-": "sentencepiece",
}  # in the models' names: what their tokenizer needs


class Translates(Protocol):
    """What back-translation asks of a translator, whatever engine is behind it."""

    def translate(self, sentences: Sequence[str], keys: Sequence[int]) -> list[str | None]:
        """Return a translation of each sentence or None; element i depends on sentence and key i alone."""
        ...


class Pivot(NamedTuple):
    """Translators from the texts' language into another one and back."""

    forward: Translates
    backward: Translates


@dataclass(slots=True)
class _Sentence:
    """A sentence on its way: where it belongs, the pivot that it tries first, and the key of its draws."""

    text: int
    part: int
    source: str
    first_pivot: int
    key: int


class BackTranslation(WholeTextOperator):
    """Translate some sentences of a text there and back.

    A translated sentence may change in every word, so the strength says how many sentences are translated: random ones,
    as many as have together about that share of the words, and at least one. A text of one sentence is
    translated as a whole at every strength.

    Augmentations of a text take turns at the pivots, and different texts begin with different ones. What comes back is
    accepted if it has every value of its sentence (numerals, units, codes, negation; see
    :func:`trainables.augment.operators.whole_text.is_rewriting`) and is another one. Else it is tried again through the
    next pivot, or drawn again; in the end the sentence stays as it was and counts in ``unchanged``.

    Parameters
    ----------
    pivots
        Ways through other languages.
    strength
        Share of the words of a text whose sentences are translated, in (0, 1].
    draws
        Whether a translator may give another variant of the same sentence; else each pivot is tried once.
    """

    def __init__(
        self, pivots: Sequence[Pivot], strength: float, *, draws: bool = True, seed: int = 0
    ) -> None:
        super().__init__(NAME, strength, seed)
        self._pivots = list(pivots)
        self._tries = max(_TRIES, len(pivots)) if draws else len(pivots)

    def augment_batch(self, texts: Sequence[str], seeds: Sequence[int]) -> list[str]:
        """Return one augmentation per text; element i depends on ``texts[i]`` and ``seeds[i]`` alone.

        Each goes first through the pivot that its seed draws; :meth:`augment_copies` lets them take turns.
        """
        return self.augment_copies(texts, seeds, [hash_of(seed % 2**64, 0) for seed in seeds])

    def augment_copies(self, texts: Sequence[str], seeds: Sequence[int], numbers: Sequence[int]) -> list[str]:
        """Return one augmentation per text, which goes first through the pivot whose turn is at ``numbers[i]``."""
        parts = [split_sentences(text) for text in texts]
        pending: list[_Sentence] = []
        for i, seed, number in zip(range(len(texts)), seeds, numbers, strict=True):
            rng = random.Random(seed)
            chosen = self._chosen(parts[i], rng)
            turn = zlib.crc32(texts[i].encode("utf-8", "surrogatepass")) + number
            pending += [_Sentence(i, j, parts[i][j], turn, rng.getrandbits(64)) for j in chosen]
        for number in range(self._tries):
            if not pending:
                break
            made = self._there_and_back(pending, number)
            left = []
            for sentence, candidate in zip(pending, made, strict=True):
                if candidate is not None and is_rewriting(sentence.source, candidate):
                    parts[sentence.text][sentence.part] = candidate
                else:
                    left.append(sentence)
            self.rejected += len(left)
            pending = left
        self.unchanged += len(pending)
        return ["".join(part) for part in parts]

    def _chosen(self, parts: Sequence[str], rng: random.Random) -> list[int]:
        """Return positions of the sentences to translate."""
        lengths = {j: len(part.split()) for j, part in enumerate(parts) if _is_translatable(part)}
        budget = self.strength * sum(len(part.split()) for part in parts)
        chosen: list[int] = []
        for j in rng.sample(list(lengths), len(lengths)):
            # The last one goes in where that brings the words nearer to the share asked for.
            if not chosen or lengths[j] <= 2 * budget:
                chosen.append(j)
                budget -= lengths[j]
        return sorted(chosen)

    def _there_and_back(self, sentences: Sequence[_Sentence], number: int) -> list[str | None]:
        made: list[str | None] = [None] * len(sentences)
        for turn, pivot in enumerate(self._pivots):
            through = [
                i
                for i, sentence in enumerate(sentences)
                if (sentence.first_pivot + number) % len(self._pivots) == turn
            ]
            keys = [hash_of(sentences[i].key, number) for i in through]
            there = _where_there(pivot.forward.translate, [sentences[i].source for i in through], keys)
            back = _where_there(pivot.backward.translate, there, [hash_of(key, 0) for key in keys])
            for i, translated in zip(through, back, strict=True):
                made[i] = translated
        return made


def _where_there(
    translate: Callable[[Sequence[str], Sequence[int]], list[str | None]],
    sentences: Sequence[str | None],
    keys: Sequence[int],
) -> list[str | None]:
    """Translate the sentences that are not None or empty."""
    there = [(i, sentence) for i, sentence in enumerate(sentences) if sentence]
    made: list[str | None] = [None] * len(sentences)
    done = translate([sentence for _, sentence in there], [keys[i] for i, _ in there]) if there else []
    for (i, _), translated in zip(there, done, strict=True):
        made[i] = translated
    return made


def _is_translatable(sentence: str) -> bool:
    return sum(any(c.isalpha() for c in word) for word in sentence.split()) >= 2


def why_unavailable(**options: object) -> str | None:
    """Return what the engine lacks here and how to get it, or None where the operator can run."""
    if faults := option_faults(**options):
        return " ".join(faults)
    asked = read_options(**options)
    if asked.engine == "apertium":
        return _apertium_lacks(asked.routes)
    named = [(option, model) for route in asked.routes for option, model in _named(route).items()]
    faults = [fault for option, model in named if (fault := source_fault(NAME, option, model))]
    packages = {package for family, package in _TOKENIZER.items() for _, model in named if family in model}
    faults += [
        f"the tokenizer of the models of the operator {NAME} needs the package {package}: `pip install {package}`"
        for package in sorted(packages)
        if find_spec(package) is None
    ]
    return "; ".join(faults) or None


def _apertium_lacks(routes: Sequence[Route]) -> str | None:
    here = installed()
    lacking = {
        route.pivot: [mode for mode in (route.forward, route.backward) if mode not in here.modes]
        for route in routes
    }
    pivots = [pivot for pivot, modes in lacking.items() if modes or here.program is None]
    if not pivots:
        return None
    packages = [f"{PROGRAM}-eng-{APERTIUM_CODES[pivot]}" for pivot in pivots]
    if here.program is None:
        return (
            f"operator {NAME} translates with the program {PROGRAM}, which is not installed: on Debian or Ubuntu, "
            f"`apt install {' '.join([PROGRAM, *packages])}`; or {GIVE_MODELS}"
        )
    modes = ", ".join(mode for pivot in pivots for mode in lacking[pivot])
    return (
        f"operator {NAME}: {PROGRAM} ({here.program}) lacks the modes {modes}: on Debian or Ubuntu, "
        f"`apt install {' '.join(packages)}`; or give `pivots` without {', '.join(pivots)}; or {GIVE_MODELS}"
    )


def _named(route: Route) -> Mapping[str, str]:
    """Return each model of a route under the option that names it."""
    if not route.pivot:
        return {"forward": route.forward, "backward": route.backward}
    return {f"models en-{route.pivot}": route.forward, f"models {route.pivot}-en": route.backward}


def identity(**options: object) -> list[str]:
    """Return engine, pairs and their versions (digests of their files, or commits), for cache keys."""
    asked = _checked(options)
    if asked.engine == "apertium":
        return [
            asked.engine,
            *version_of([mode for route in asked.routes for mode in (route.forward, route.backward)]),
        ]
    digests = [
        f"{route.pivot}:{model_digest(NAME, option, model)}"
        for route in asked.routes
        for option, model in _named(route).items()
    ]
    return [asked.engine, asked.decoding, *digests]


def _checked(options: Mapping[str, object]) -> Routes:
    if reason := why_unavailable(**options):
        raise ConfigurationError(option_faults(**options) or reason)
    return read_options(**options)


def build(strength: float, encoder: EncoderSettings, **options: object) -> BackTranslation:
    """Return the operator; models compute where, and in the precision in which, the encoder does.

    Parameters
    ----------
    strength
        Share of the words of a text whose sentences are translated, in (0, 1].
    encoder
        Names device and precision.
    **options
        ``engine``, ``apertium`` unless models are given, or ``transformers``; ``pivots``, codes of the languages that
        augmentations take turns at. For ``transformers``: ``models``, a folder or NAME@REVISION for each direction
        (``en-de``, ``de-en``), or ``forward`` and ``backward`` for a single pivot; ``decoding``, ``sample`` (the
        default, with ``temperature`` .8 and ``top_k`` 50) or ``beam``.

    Raises
    ------
    ConfigurationError
        An option is wrong; the program or a model is missing, or cannot be loaded.
    """
    asked = _checked(options)
    if asked.engine == "apertium":
        ways = [
            Pivot(open_translator(route.forward), open_translator(route.backward)) for route in asked.routes
        ]
        return BackTranslation(ways, strength, draws=False)
    from trainables.augment.models.translator import Sampling, load_translator

    sampling = Sampling(asked.temperature, asked.top_k) if asked.draws else None
    device, precision = resolve_device(encoder), resolve_precision(encoder)
    ways = [
        Pivot(
            *(
                load_translator(model_source(NAME, option, model), device, precision, sampling)
                for option, model in _named(route).items()
            )
        )
        for route in asked.routes
    ]
    return BackTranslation(ways, strength, draws=asked.draws)
