"""Strengths that make nearly the same texts, measured on some training texts and said in the plan.

In a text of few words a strength of .05 changes as many as one of .1 does. Trials that differ in nothing else then
differ in a few rows of stage 1, or in none.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from study.config.ranges import Range, axis_of
from study.config.study import StudyConfig
from trainables.augment.registry import OPERATORS, make_operator
from trainables.model.encoder import load_tokenizer
from trainables.prepared import PreparedCorpus, RunSettings
from trainables.seeds import derive_seed
from trainables.settings import TrialSettings
from trainables.texts.tokens import tokenise

_TEXTS = 128
_WORTH_SAYING = 0.9


def alike_strengths_sentences(config: StudyConfig, prepared: PreparedCorpus, run: RunSettings) -> list[str]:
    """Return a sentence for each pair of neighbouring strengths that make the same of nearly all texts.

    What an operator makes is compared as the encoder reads it. Operators that ask a model are left out: to try them
    takes long, or costs money.

    Parameters
    ----------
    config, prepared, run
        The study, its texts, and what its trials share.
    """
    if not config.trials or "strength" not in config.space:
        return []
    strengths = axis_of("strength", config.space["strength"])
    tried = [strengths.low, strengths.high] if isinstance(strengths, Range) else sorted(strengths)
    fixed = config.fixed.get("operator", TrialSettings.operator)
    names = [name for name in config.space.get("operator", (fixed,)) if not OPERATORS[name].asks_a_model]
    rows = np.linspace(0, len(prepared.train_texts) - 1, num=min(_TEXTS, len(prepared.train_texts)))
    texts = [prepared.train_texts[row] for row in rows.astype(np.int64).tolist()]
    made = {name: [_made(name, strength, texts, run) for strength in tried] for name in names}
    sentences = []
    for place, (one, other) in enumerate(itertools.pairwise(tried)):
        shares = {name: _alike(of[place], of[place + 1]) for name, of in made.items()}
        often = {name: share for name, share in shares.items() if share >= _WORTH_SAYING}
        if often:
            listed = ", ".join(f"{100 * share:.0f} % with {name}" for name, share in often.items())
            sentences.append(
                f"Strength {one:g} and {other:g} make the same of {listed} (of {len(texts)} training texts): trials "
                "that differ in it alone will hardly differ. Trials whose whole stage-1 sets come out the same count "
                "as one."
            )
    return sentences


def _made(name: str, strength: float, texts: Sequence[str], run: RunSettings) -> list[bytes]:
    """Return what an operator makes of texts, as the encoder reads it."""
    operator = make_operator(name, strength, run.encoder, run.operator_options.get(name))
    seeds = [derive_seed(run.study_seed, f"stage1_set/{place}/0", 0) for place in range(len(texts))]
    tokens = tokenise(
        operator.augment_batch(texts, seeds), load_tokenizer(run.encoder), run.encoder.max_length
    )
    return [ids.tobytes() for ids in np.split(tokens.ids, tokens.offsets[1:-1])]


def _alike(one: Sequence[bytes], other: Sequence[bytes]) -> float:
    return float(np.mean([a == b for a, b in zip(one, other, strict=True)]))
