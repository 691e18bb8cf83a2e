"""The checks of a launch that need no model; their faults are reported within a second or two, all at once."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from study.config.aims import metric_faults
from study.config.encoders import trial_encoder
from study.config.faults import study_faults
from study.config.masked_lm import headless_faults
from study.config.study import StudyConfig
from study.plan.warm_start import warm_start_faults
from study.record.folder import own_disk_faults, storage_faults
from study.tracking.uri import address_faults, tracking_uri
from trainables.corpora.corpus import Corpus
from trainables.corpora.registry import option_faults, read_corpus
from trainables.errors import ConfigurationError, collect
from trainables.model.source import is_without_masked_lm_head, source_faults

MINIMUM_VERSIONS = {"ray": (2, 60), "optuna": (5, 0), "mlflow": (3, 17), "transformers": (5, 0)}


def first_checks(config: StudyConfig, storage: str, tracking: str | None, unknown: list[str]) -> Corpus:
    """Check values, installed versions, addresses, the encoder's files and the corpus, and return the corpus.

    Parameters
    ----------
    config
        The study, as far as its values are known.
    storage
        Folder for results and caches, which may be missing yet.
    tracking
        MLflow's address, where one was given.
    unknown
        Faults about unknown names on the command line; reported with the others.

    Raises
    ------
    ConfigurationError
        With all faults that were found.
    """
    faults = [
        *unknown,
        *version_faults(),
        *study_faults(config),
        *storage_faults(storage),
        *own_disk_faults(),
    ]
    if "warm_start" not in config.wrong_fields():
        faults += warm_start_faults(config, Path(storage) / config.name)
    faults += address_faults(tracking_uri(Path(storage), tracking))
    wrong = config.wrong_fields()
    if not wrong & {"encoder", "encoder_revision", "encoder_layers", "max_length", "gpus_per_trial"}:
        encoder = trial_encoder(config)
        faults += source_faults(encoder)
        if "arms" not in wrong and is_without_masked_lm_head(encoder):
            faults += headless_faults(config)
    corpus = None
    if not wrong & {"data", "corpus_options"}:
        if config.data is not None or not faults:
            corpus = collect(faults, lambda: read_corpus(config.corpus, config.data, **config.corpus_options))
            if corpus is not None and "objective" not in wrong:
                faults += metric_faults(config.objective, corpus.classes)
        else:  # nothing is downloaded for a launch that is refused anyway
            faults += option_faults(config.corpus, config.corpus_options)
    if faults or corpus is None:
        raise ConfigurationError(faults)
    return corpus


def version_faults() -> list[str]:
    """Return which of the libraries are missing, or older than what this project was built on."""
    faults = []
    for name, least in MINIMUM_VERSIONS.items():
        expected = f"{'.'.join(map(str, least))} or newer was expected: run `make setup`."
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            faults.append(f"{name} is not installed, {expected}")
            continue
        if tuple(int(part) for part in found.split(".")[:2]) < least:
            faults.append(f"{name} {found} is installed, {expected}")
    return faults
