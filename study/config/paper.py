"""The arm ``paper`` in a study: the recipe as published, with an operator that can run here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from study.config.encoders import encoder_settings
from study.config.study import StudyConfig
from trainables.augment.operators.pivots import GIVE_MODELS, NAME, read_options
from trainables.augment.registry import OPERATORS, option_faults, why_unavailable
from trainables.method.arms import ARM_TABLE, PAPER_ARM
from trainables.rules import is_number
from trainables.settings import TrialSettings

FACT = "paper_operator"  # in study.json
# The paper repeated one of its experiments with EDA, at about the same gain.
_SECOND = "eda"
_STRENGTH = 0.1  # of an operator that changes words: EDA's default


def with_paper_operator(
    config: StudyConfig, facts: Mapping[str, Any] | None = None
) -> tuple[StudyConfig, str, tuple[str, ...]]:
    """Give the arm ``paper`` an operator that can run here.

    It back-translates. Where it cannot, and the study does not name another operator for it, it takes EDA, with which
    the paper repeated an experiment, or else the first operator of the study's other trials that can run.

    Parameters
    ----------
    config
        The study; its search space holds only operators that can run here.
    facts
        What ``study.json`` says of a study that may be resumed: it keeps its operator.

    Returns
    -------
    StudyConfig
        The study.
    str
        The operator, to be kept in ``study.json``.
    tuple of str
        Remarks where it, or a learning rate, is not the paper's.
    """
    published = ARM_TABLE[PAPER_ARM].recipe["operator"]
    asked_for = config.paper.get("operator")
    if asked_for is not None or config.wrong_fields() or option_faults(config.operator_options):
        return config, str(asked_for or published), _rates_remark(config)
    of_trials = config.space.get("operator", (config.fixed.get("operator", TrialSettings.operator),))
    reasons = {name: _reason(name, config) for name in (published, _SECOND, *of_trials)}
    stored = (facts or {}).get(FACT)
    if stored is not None:
        # It has to run here again: if it cannot, that is reported as for an operator that the study names.
        config = replace(config, paper={**config.paper, "operator": stored})
    chosen = stored or next((name for name, why in reasons.items() if why is None), published)
    if chosen == published:
        return config, published, (*_engine_remark(config), *_rates_remark(config))
    why = reasons[published] or "this study was started without it; with --fresh it is used."
    remark = f"The paper's recipe back-translates; here its operator is {chosen}: {why}"
    paper = {"strength": _STRENGTH, **config.paper, "operator": chosen}
    return replace(config, paper=paper), chosen, (remark, *_rates_remark(config))


def _rates_remark(config: StudyConfig) -> tuple[str, ...]:
    published = ARM_TABLE[PAPER_ARM].recipe
    rates = [(f"stage{n}_learning_rate", f"stage {n}") for n in (1, 2)]
    own = [
        f"{value:g} in {stage} (published: {published[name]:g})"
        for name, stage in rates
        if is_number(value := config.paper.get(name, published[name])) and value != published[name]
    ]
    if not own:
        return ()
    return (
        f"The arm of the paper's recipe has other learning rates than the paper: {' and '.join(own)}. Small encoders "
        "and draws need higher ones; those of the paper can be given as values of paper (--set paper=…).",
    )


def _engine_remark(config: StudyConfig) -> tuple[str, ...]:
    if read_options(**config.operator_options.get(NAME, {})).engine != "apertium":
        return ()
    return (
        "The paper back-translates with pretrained neural models (FSMT) through German and Russian; here the "
        f"rule-based translator Apertium does, whose English is clumsier. For the paper's own, {GIVE_MODELS}.",
    )


def _reason(name: str, config: StudyConfig) -> str | None:
    if name not in OPERATORS:
        return "there is no such operator"
    return why_unavailable(name, config.operator_options.get(name), encoder_settings(config))
