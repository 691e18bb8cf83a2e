"""Sentences a second of every augmentation operator against nlpaug's augmenter for the same work.

Command::

    python -m benchmarks.augmentation

Ours and the reference take turns in one process on one thread, on rows of the generated sample. A "sentence" here is a
whole row, the unit that an augmenter takes; ``--unit sentence`` cuts rows into sentences. Each round has its own rows;
the figures are medians over rounds. Both change the same share of the words (nlpaug's limit of ten words is lifted).

The contextual operators run on a masked language model with random weights, BERT-base's vocabulary of 30,522 and
MiniLM's six layers of 384; their reference is nlpaug's one-at-a-time algorithm on the same weights
(:mod:`benchmarks.contextual_reference`), in float32 as in nlpaug. Ours computes in bfloat16 where the hardware can
multiply it; ``--precision float32`` compares the algorithms alone.

These operators have no reference: ``embedding_neighbours`` (nlpaug's needs gensim and a file of vectors; words a second
are given instead), ``eda`` and ``aeda`` (nlpaug has none). Operators that need a network or missing data are left out,
with the reason in ``left_out``.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from transformers.utils import logging

from benchmarks.contextual_reference import OneAtATime
from study.command.cli import run_command
from trainables.augment.english.sentences import split_sentences
from trainables.augment.registry import OPERATORS, make_operator, why_unavailable
from trainables.corpora.drug_labels.sample import generate_sample
from trainables.errors import ConfigurationError
from trainables.model.encoder import load_tokenizer
from trainables.settings import PRECISIONS, EncoderSettings

Augment = Callable[[str], object]
# Rows of the contextual reference per row of ours; so few because it is some fifty times slower.
_REFERENCE_SHARE = 0.03
_LEAST_SAMPLE = 100  # the smallest number of rows that the sample can be asked for


def _random_word(action: str, strength: float) -> Augment:
    from nlpaug.augmenter.word import RandomWordAug

    augment: Augment = RandomWordAug(action=action, aug_p=strength, aug_max=None).augment
    return augment


def _spelling(strength: float) -> Augment:
    from nlpaug.augmenter.word import SpellingAug

    augment: Augment = SpellingAug(aug_p=strength, aug_max=None).augment
    return augment


def _keyboard(strength: float) -> Augment:
    from nlpaug.augmenter.char import KeyboardAug

    augment: Augment = KeyboardAug(aug_word_p=strength, aug_word_max=None).augment
    return augment


def _ocr(strength: float) -> Augment:
    from nlpaug.augmenter.char import OcrAug

    augment: Augment = OcrAug(aug_word_p=strength, aug_word_max=None).augment
    return augment


def _wordnet(strength: float) -> Augment:
    from nlpaug.augmenter.word import SynonymAug

    augment: Augment = SynonymAug(aug_src="wordnet", aug_p=strength, aug_max=None).augment
    augment("A first text loads the data.")
    return augment


def _one_at_a_time(inserts: bool, strength: float, folder: Path) -> Augment:
    from transformers import AutoModelForMaskedLM

    model = AutoModelForMaskedLM.from_pretrained(folder)
    return OneAtATime(model, load_tokenizer(EncoderSettings()), strength, inserts=inserts).augment


@dataclass(frozen=True)
class Pair:
    """What an operator is compared with.

    Attributes
    ----------
    reference
        Makes nlpaug's augmenter of a given strength; None if nlpaug has none.
    is_contextual
        Whether both need the folder of the masked language model.
    """

    reference: Callable[..., Augment] | None = None
    is_contextual: bool = False


PAIRS: dict[str, Pair] = {
    "aeda": Pair(),
    "back_translation": Pair(),
    "contextual_insertion": Pair(partial(_one_at_a_time, True), is_contextual=True),
    "contextual_substitution": Pair(partial(_one_at_a_time, False), is_contextual=True),
    "eda": Pair(),
    "embedding_neighbours": Pair(),
    "keyboard_noise": Pair(_keyboard),
    "ocr_noise": Pair(_ocr),
    "paraphrase": Pair(),
    "random_crop": Pair(partial(_random_word, "crop")),
    "random_delete": Pair(partial(_random_word, "delete")),
    "random_swap": Pair(partial(_random_word, "swap")),
    "spelling_noise": Pair(_spelling),
    "wordnet_synonyms": Pair(_wordnet),
}


def table_faults(registered: Collection[str], paired: Collection[str]) -> list[str]:
    """Return where the registry of operators and the table of pairs disagree."""
    faults = [
        f"operator {name!r} is registered, but benchmarks.augmentation pairs it with nothing: add a line to PAIRS"
        for name in sorted(set(registered) - set(paired))
    ]
    return faults + [
        f"benchmarks.augmentation pairs {name!r}, which is no registered operator: expected one of "
        f"{', '.join(sorted(registered))}"
        for name in sorted(set(paired) - set(registered))
    ]


def write_masked_lm(folder: Path, size: int) -> None:
    """Write a masked language model with random weights, MiniLM's layers and the packaged tokenizer's vocabulary."""
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30_522,
        hidden_size=size,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=4 * size,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    load_tokenizer(EncoderSettings()).save_pretrained(folder)


def compare(
    name: str, rows: Sequence[Sequence[str]], strength: float, encoder: EncoderSettings, folder: Path
) -> dict[str, float | None]:
    """Return sentences a second of an operator and of its reference, which take turns.

    Parameters
    ----------
    name
        The operator.
    rows
        Texts of the warm-up, then of each round.
    strength
        Share of the words that both change.
    encoder
        Encoder settings, which name the precision of ours.
    folder
        Folder of the masked language model.
    """
    pair = PAIRS[name]
    ours = make_operator(name, strength, encoder, {"model": str(folder)} if pair.is_contextual else None)
    reference = None
    if pair.reference is not None:
        reference = pair.reference(strength, folder) if pair.is_contextual else pair.reference(strength)
    speeds: list[float] = []
    reference_speeds: list[float] = []
    for number, texts in enumerate(rows):
        started = time.perf_counter()
        ours.augment_batch(texts, range(len(texts)))
        speed = len(texts) / (time.perf_counter() - started)
        reference_speed = 0.0
        if reference is not None:
            some = texts[: max(1, int(_REFERENCE_SHARE * len(texts)))] if pair.is_contextual else texts
            started = time.perf_counter()
            for text in some:
                reference(text)
            reference_speed = len(some) / (time.perf_counter() - started)
        if number:  # the first round warms up
            speeds.append(speed)
            reference_speeds.append(reference_speed)
    found: dict[str, float | None] = {"ours": statistics.median(speeds), "reference": None, "ratio": None}
    if reference is not None:
        found["reference"] = statistics.median(reference_speeds)
        found["ratio"] = statistics.median(speeds) / statistics.median(reference_speeds)
    if name == "embedding_neighbours":
        words = sum(len(text.split()) for texts in rows[1:] for text in texts)
        found["words_per_s"] = statistics.median(speeds) * words / sum(len(texts) for texts in rows[1:])
    return found


def sample_rows(n: int, rounds: int, unit: str) -> list[list[str]]:
    """Return n texts for the warm-up and n for each round; no row is used twice."""
    texts = list(generate_sample(max(_LEAST_SAMPLE, n * (rounds + 1))).texts)
    if unit == "sentence":
        texts = [part for text in texts for part in split_sentences(text) if part.strip()]
    return [texts[i * n : (i + 1) * n] for i in range(rounds + 1)]


def measure(args: argparse.Namespace) -> int:
    """Print the figures as one JSON object."""
    names = args.operators or sorted(PAIRS)
    if args.operators is None:
        faults = table_faults(OPERATORS, PAIRS)
    else:
        known = OPERATORS.keys() & PAIRS.keys()
        faults = [
            f"--operators names {name!r}: expected some of {', '.join(sorted(known))}"
            for name in names
            if name not in known
        ]
    if args.texts < 1 or args.rounds < 1 or not 0 < args.strength <= 1:
        faults.append("--texts and --rounds: expected 1 or more; --strength: expected a share in (0, 1]")
    if faults:
        raise ConfigurationError(faults)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    random.seed(0)
    encoder = EncoderSettings(device="cpu", precision=args.precision)
    rows = sample_rows(args.texts, args.rounds, args.unit)
    figures: dict[str, Any] = {"operators": {}, "left_out": {}}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if any(PAIRS[name].is_contextual for name in names):
            write_masked_lm(folder, args.hidden_size)
        for name in names:
            options = {"model": made} if PAIRS[name].is_contextual else None
            if reason := why_unavailable(name, options):
                figures["left_out"][name] = reason
                console.print(f"left out: {reason}", markup=False)
                continue
            try:
                found = compare(name, rows, args.strength, encoder, folder)
            except LookupError:  # NLTK raises it when data are missing
                reason = (
                    f"operator {name}: the data of nlpaug's augmenter (NLTK's wordnet and tagger) are missing"
                )
                figures["left_out"][name] = reason
                console.print(f"left out: {reason}", markup=False)
                continue
            figures["operators"][name] = {
                key: None if value is None else round(value, 2) for key, value in found.items()
            }
            console.print(f"{name}: {figures['operators'][name]}", markup=False)
    print(json.dumps(figures))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.augmentation", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--texts", type=int, default=300, help="texts of a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds (default: %(default)s)")
    parser.add_argument(
        "--strength",
        type=float,
        default=0.3,
        help="share of the words that are changed (default: %(default)s)",
    )
    parser.add_argument("--operators", nargs="+", metavar="NAME", help="only these operators (default: all)")
    parser.add_argument(
        "--unit", choices=("row", "sentence"), default="row", help="what a text is (default: %(default)s)"
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="precision of our contextual operators (default: %(default)s)",
    )
    parser.add_argument(
        "--hidden-size",
        type=int,
        default=384,
        metavar="D",
        help="width of the masked language model, a multiple of 12 (default: %(default)s)",
    )
    return run_command(measure, parser, argv)


if __name__ == "__main__":
    sys.exit(main())
