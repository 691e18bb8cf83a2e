"""What paraphrases of a study will cost at most, said before anything is spent."""

from __future__ import annotations

import math
from collections.abc import Iterable

from study.config.study import StudyConfig
from trainables.prepared import PreparedCorpus

# Assumed: endpoints' tokenizers have larger vocabularies than the packaged encoder's, which takes 1.59 on the generated
# sample.
_TOKENS_PER_WORD = 1.4
_OPERATOR = "paraphrase"


def paraphrase_sentence(
    config: StudyConfig, prepared: PreparedCorpus, stage1_rows: Iterable[int]
) -> str | None:
    """Return how many calls a study's search makes and about how many tokens they are, None without paraphrases.

    Trials of one strength share their paraphrases in each replicate, and more copies contain fewer, so what counts is
    strengths x copies x rows x replicates. What is not counted: texts that are asked for again because an answer was
    rejected or nearly repeated another one, and further replicates of a confirmation.

    Parameters
    ----------
    config
        The study.
    prepared
        Its corpus.
    stage1_rows
        Rows of a stage-1 set of one copy, of each imbalance ratio.
    """
    operators = config.space.get("operator", (config.fixed.get("operator"),))
    if _OPERATOR not in operators:
        return None
    from trainables.augment.operators.paraphrase import (
        INSTRUCTION_WORDS,  # imports nlpaug, which takes seconds
    )

    strengths = len(config.space.get("strength", (None,)))
    copies = max(config.space.get("copies", (config.fixed.get("copies", 1),)))
    calls = sum(stage1_rows) * strengths * copies * config.replicates
    words = sum(len(text.split()) for text in prepared.train_texts) / max(1, len(prepared.train_texts))
    read = math.ceil(calls * (INSTRUCTION_WORDS + words) * _TOKENS_PER_WORD)
    written = math.ceil(calls * words * _TOKENS_PER_WORD)
    return (
        f"Paraphrases: up to {calls:,} calls of the endpoint, about {read:,} tokens read and {written:,} written "
        "(once each: answers are kept, so that a second launch pays for none of them)."
    )
