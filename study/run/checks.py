"""The checks of a study that need its model, made before anything is spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from study.config.encoders import trial_encoder
from study.config.masked_lm import chosen_masked_lm_arms, headless_faults
from study.config.operators import language_remarks, unavailable_faults
from study.config.study import StudyConfig
from study.plan.confirmation import first_confirmed, fresh_replicates
from study.record.folder import StudyFolder
from study.record.ledger import Ledger
from study.run.cluster import Connection
from study.run.facts import JUDGED_ON
from study.run.numerics import numerics_of, one_precision
from study.run.resuming import resume_faults
from study.run.tokens import token_faults, token_remarks
from study.verdict.covered import draws_are_alike
from trainables.corpora.corpus import Corpus
from trainables.corpora.imbalance import Profile, ranked
from trainables.corpora.leakage import can_be_resplit
from trainables.corpora.wording import listed, shown
from trainables.draw_sizes import count_faults, ratio_remarks, shared_n_max, short_class_remarks
from trainables.errors import ConfigurationError, collect
from trainables.export.calibration import prior_faults
from trainables.method.arms import HEAD_ARMS
from trainables.model.encoder import encoder_faults, has_masked_lm_head
from trainables.model.pretrained import dropped_head
from trainables.prepared import CorpusOfReplicates, PreparedCorpus, RunSettings, prepare
from trainables.read_corpus import ReadCorpus, read_corpus
from trainables.resplit import ResplitCorpus, SharedCorpus, prepare_resplit
from trainables.rules import did_you_mean
from trainables.settings import NATURAL, EncoderSettings
from trainables.staged_corpus import StagedCorpus
from trainables.training.first_step import first_step_faults, masked_lm_faults
from trainables.truncation import TEXTS, TOKENS


class CheckedTexts(NamedTuple):
    """The texts as the search uses them, as every replicate gets them, and what all trials share; and as read."""

    prepared: SharedCorpus
    of_replicates: CorpusOfReplicates
    run: RunSettings
    read: ReadCorpus


def checked(
    config: StudyConfig,
    folder: StudyFolder,
    corpus: Corpus,
    connection: Connection | None,
    *,
    resumes: bool,
    store_faults: list[str],
    read: ReadCorpus | None = None,
) -> CheckedTexts:
    """Prepare the corpus, and make all other checks that need the encoder.

    Parameters
    ----------
    config, folder, corpus
        The study, where it lies, and its texts.
    connection
        The cluster that was joined, or None.
    resumes
        Whether an existing study in the folder is to be resumed.
    store_faults
        What is wrong with MLflow's store; reported with the other faults.
    read
        The corpus as read for the same study at another size, where that was checked already.

    Raises
    ------
    ConfigurationError
        With all faults that were found.
    """
    encoder, again = trial_encoder(config), read is not None
    faults = [*unavailable_faults(config), *store_faults]
    wrong_encoder = encoder_faults(encoder)
    faults += wrong_encoder
    prepared = fresh = None
    further = fresh_replicates(config, Ledger(folder.ledger) if resumes else None)
    if not wrong_encoder:
        known = folder.read_facts() if resumes else None
        encoder = collect(faults, lambda: one_precision(config, connection, known)) or encoder
        judged_on = TOKENS if known is None else known.get(JUDGED_ON, TEXTS)
        how = _split_values(config, judged_on)
        names = ("study_seed", "split_settings", "judged_on")
        given = {name: how[name] for name in names}
        read = read or collect(faults, partial(read_corpus, corpus, encoder, **given))
        how["read"] = read
        if read is not None:
            prepared = collect(faults, partial(_prepared, config, corpus, encoder, further, how))
        if prepared is not None and further and not config.resplit and can_be_resplit(corpus):
            fresh = collect(faults, partial(prepare_resplit, corpus, encoder, replicates=further, **how))
        if resumes:
            faults += resume_faults(folder, config, corpus.digest, numerics_of(config, connection, encoder))
    faults += _row_bound_faults(config, corpus)
    if config.deployment_prior:
        faults += prior_faults(config.deployment_prior, corpus.classes)
    profile = collect(faults, lambda: _profile(config, corpus))
    first = None if prepared is None else prepared.of_replicate(0)
    if first is not None and (first.ranked_by or fresh is not None) and profile is not None:
        # Classes of nearly equal size would else change places between replicates.
        fresh = None if fresh is None else replace(fresh, ranked_by=_train_rows(first))
        profile = replace(profile, order=tuple(ranked(first.ranked_by or _train_rows(first), profile.order)))
    if profile is not None and config.n_max is not None:
        imposed = [ratio for ratio in config.imbalance_ratios if isinstance(ratio, float)]
        faults += [] if prepared is None else count_faults(prepared, imposed, profile, config.n_max)
        faults += [] if fresh is None else count_faults(fresh, imposed, profile, config.n_max)
    if not wrong_encoder and not again:
        faults += first_step_faults(encoder, len(corpus.classes)) or _masked_lm_faults(config)
    if first is not None:
        faults += token_faults(config, encoder, first)
    if faults or read is None or prepared is None or first is None or profile is None:
        raise ConfigurationError(faults)
    prepared = replace(prepared, remarks=(*prepared.remarks, *token_remarks(encoder, first)))
    if head := dropped_head(encoder):
        prepared = replace(prepared, remarks=(*prepared.remarks, head))
    row_bound = config.row_bound(corpus.is_sample)
    run = RunSettings(
        study_seed=config.seed,
        encoder=encoder,
        profile=profile,
        n_max=config.n_max or shared_n_max(prepared, config.imbalance_ratios, profile, row_bound),
        max_train_rows=row_bound,
        cache_dir=str(folder.cache),
        operator_options=config.operator_options,
        stage1_grid=config.stage1_grid(),
        cache_max_bytes=int(config.cache_gb * 10**9),
        checkpoint_every_s=config.checkpoint_every_s,
        scores_dir=str(folder.scores),
        share_vanilla=any(arm in HEAD_ARMS for arm in config.arms),
    )
    remarks = [
        *ratio_remarks(config.imbalance_ratios, run.n_max),
        *short_class_remarks(prepared, config.imbalance_ratios, profile, run.n_max),
        *language_remarks(config, first.train_texts),
        *_same_rows_remarks(config, len(first.train_labels), row_bound, can_be_resplit(corpus)),
        *filter(None, [_fresh_remark(config, fresh)] if further else []),
    ]
    prepared = replace(prepared, remarks=(*prepared.remarks, *remarks))
    if not further:
        return CheckedTexts(prepared, prepared, run, read)
    staged = StagedCorpus(prepared, fresh, config.replicates, first_confirmed(config))
    return CheckedTexts(prepared, staged, run, read)


def _train_rows(prepared: PreparedCorpus) -> tuple[int, ...]:
    return tuple(np.bincount(prepared.train_labels, minlength=len(prepared.classes)).tolist())


def _fresh_remark(config: StudyConfig, fresh: ResplitCorpus | None) -> str:
    """Say what the replicates of the confirmation vary beside draw and seed."""
    if config.resplit:
        return ""  # said of all replicates
    if fresh is None:
        return (
            "The source gives the validation texts, so the replicates of the confirmation differ in the draw of the "
            "training rows and in the seed alone."
        )
    return (
        f"Every replicate of the screening and the confirmation has training and validation texts of its own, cut "
        f"anew by {config.split_by} out of the {len(fresh.texts):,} texts that are not test texts."
    )


def _same_rows_remarks(config: StudyConfig, rows: int, bound: int | None, resplits: bool) -> list[str]:
    """Say that the search's replicates at the natural ratio differ in their seeds alone."""
    if config.resplit or config.replicates < 2 or NATURAL not in config.imbalance_ratios:
        return []
    if not draws_are_alike(bound, rows):
        return []
    fresh = (
        " The confirmation's replicates are split anew."
        if resplits and config.confirmation_replicates
        else ""
    )
    remedy = " --resplit gives the search's replicates a split each, too." if resplits else ""
    return [
        f"At the natural imbalance ratio every draw has the same {rows:,} training rows, because no bound "
        "(max_train_rows) is below them: intervals over the search's replicates cover other seeds, not other rows."
        f"{fresh}{remedy}"
    ]


def _prepared(
    config: StudyConfig, corpus: Corpus, encoder: EncoderSettings, further: int, how: Mapping[str, Any]
) -> SharedCorpus:
    """Return the corpus with one split for all replicates, or with one for each."""
    if config.resplit:
        return prepare_resplit(corpus, encoder, replicates=config.replicates + further, **how)
    return prepare(corpus, encoder, **how)


def _split_values(config: StudyConfig, judged_on: str) -> dict[str, Any]:
    """Return how the corpus is split, as :func:`prepare` takes it."""
    return {
        "study_seed": config.seed,
        "max_validation_rows": config.max_validation_rows,
        "validation_per_class": config.validation_per_class,
        "split_settings": config.split_settings(),
        "max_test_rows": config.max_test_rows,
        "judged_on": judged_on,
    }


def _masked_lm_faults(config: StudyConfig) -> list[str]:
    """Return what keeps the encoder from being trained under its masked-language head, where an arm does that."""
    if not chosen_masked_lm_arms(config):
        return []
    encoder = trial_encoder(config)
    return masked_lm_faults(encoder) if has_masked_lm_head(encoder) else headless_faults(config)


def _profile(config: StudyConfig, corpus: Corpus) -> Profile:
    """Return the study's profile with its classes as indices.

    Raises
    ------
    ConfigurationError
        ``class_order`` names classes that the corpus lacks.
    """
    if absent := [name for name in config.class_order if name not in corpus.classes]:
        close = did_you_mean(absent[0], corpus.classes)
        raise ConfigurationError(
            f"class_order names {listed([repr(shown(name)) for name in absent])}, which {corpus.source} lacks: its "
            f"{len(corpus.classes)} classes are {listed([shown(name) for name in corpus.classes], most=20)}.{close}"
        )
    order = tuple(corpus.classes.index(name) for name in config.class_order)
    return Profile(config.profile, order, config.keep_short_classes)


def _row_bound_faults(config: StudyConfig, corpus: Corpus) -> list[str]:
    """Return why a draw at the natural ratio cannot hold two rows of every class, as each draw there does."""
    bound, least = config.row_bound(corpus.is_sample), 2 * len(corpus.classes)
    if bound is None or bound >= least or NATURAL not in config.imbalance_ratios:
        return []
    name = "max_train_rows" if bound == config.max_train_rows else "max_sample_rows"
    return [
        f"{name} is {bound}, too few for {len(corpus.classes)} classes: {least} or more were expected, 2 rows of each "
        f"class (--set {name}={least})."
    ]
