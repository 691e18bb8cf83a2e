"""The most that a study's paraphrases can cost, said before anything is spent."""

from __future__ import annotations

import math
from collections.abc import Iterable

from study.config.encoders import encoder_settings
from study.config.ranges import axis_of, largest_of, size_of
from study.config.study import StudyConfig
from trainables.augment.reach import words_in_reach
from trainables.prepared import PreparedCorpus

# An assumption. The packaged encoder's tokenizer takes 1.59 on the generated sample; endpoints' tokenizers have larger
# vocabularies and so take fewer.
_TOKENS_PER_WORD = 1.4
_OPERATOR = "paraphrase"


def paraphrase_sentence(
    config: StudyConfig, prepared: PreparedCorpus, stage1_rows: Iterable[int]
) -> str | None:
    """Return a sentence with a search's number of paraphrase calls and tokens; None if it does not paraphrase.

    In each replicate, trials of one strength share their paraphrases, and a larger number of copies includes a smaller
    one, so the calls are strengths x copies x rows x replicates. Not counted are repeated requests for an answer that
    was rejected or nearly repeats another one, and further replicates of a confirmation.

    Parameters
    ----------
    config
        The study.
    prepared
        Its corpus.
    stage1_rows
        Rows of a stage-1 set with one copy, for each imbalance ratio.
    """
    operators = config.space.get("operator", (config.fixed.get("operator"),))
    if _OPERATOR not in operators:
        return None
    # Imported here because it loads nlpaug, which takes seconds.
    from trainables.augment.operators.paraphrase import INSTRUCTION_WORDS

    # Of a range hardly any two trials have the same strength.
    strengths = min(size_of(axis_of("strength", config.space.get("strength", (None,)))), config.trials)
    copies = axis_of("copies", config.space.get("copies", (config.fixed.get("copies", 1),)))
    calls = int(sum(stage1_rows) * strengths * largest_of(copies) * config.replicates)
    reach = words_in_reach(encoder_settings(config))
    words = sum(min(reach, len(text.split())) for text in prepared.train_texts) / max(
        1, len(prepared.train_texts)
    )
    read = math.ceil(calls * (INSTRUCTION_WORDS + words) * _TOKENS_PER_WORD)
    written = math.ceil(calls * words * _TOKENS_PER_WORD)
    return (
        f"Paraphrases: up to {calls:,} calls of the endpoint, about {read:,} tokens read and {written:,} written "
        "(once each: answers are kept, so that a second launch pays for none of them)."
    )
