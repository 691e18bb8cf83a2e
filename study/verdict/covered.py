"""What the intervals of replicates that share a split cover, and what they do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from study.config.study import lower_bound
from study.verdict.words import at_ratio
from trainables.settings import NATURAL


def draws_are_alike(bound: int | None, rows: int | None) -> bool:
    """Return whether every draw at the natural ratio from one training part has the same rows: all of them.

    Parameters
    ----------
    bound
        On the rows of a draw; None for no bound.
    rows
        Of the training part; None where they are not known.
    """
    return bound is None or (rows is not None and bound >= rows)


def covered_in_words(study: Mapping[str, Any], part: str) -> str:
    """Return what intervals over replicates of the search cover, in a sentence.

    Parameters
    ----------
    study
        What ``study.json`` says.
    part
        The scored texts, ``validation`` or ``test``.
    """
    config = study["config"]
    if config.get("resplit"):
        test_texts = ", but not other test texts" if part == "test" else ""
        return (
            "Every replicate has training and validation texts of its own: the intervals cover other such splits, "
            f"besides other draws and seeds{test_texts}."
        )
    is_sample = study["corpus"]["is_sample"]
    bound = lower_bound(config.get("max_train_rows"), config.get("max_sample_rows"), is_sample)
    rows = sum(study.get("parts", {}).get("train", {}).values()) or None
    alike = NATURAL in study["ratios"] and draws_are_alike(bound, rows)
    if alike and len(study["ratios"]) == 1:
        return (
            "All replicates share one split, and every draw has all of its training rows: the intervals cover other "
            f"seeds, not other draws or {part} texts."
        )
    also = (
        f"; {at_ratio(NATURAL)}, where every draw has all training rows, other seeds alone" if alike else ""
    )
    return f"All replicates share one split: the intervals cover other draws and seeds, not other {part} texts{also}."
