"""The models that a confirmed study leaves: the winner's and vanilla's, made once, saved, and registered in MLflow."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from study.record.folder import StudyFolder, write_atomically
from study.record.ledger import TrialRecord
from study.tracking.model_registry import register_model
from trainables.errors import ConfigurationError, TrialFailed
from trainables.export.calibration import Calibration, calibrate, class_shares
from trainables.export.card import ModelCard
from trainables.final_model import export_model
from trainables.prepared import PreparedCorpus, RunSettings
from trainables.scores import RunScores, scores_path
from trainables.settings import TrialSettings


@dataclass(frozen=True)
class Confirmed:
    """A confirmed trial, and what the verdict says.

    Attributes
    ----------
    trial
        The trial; its scores lie beside the study.
    verdict, interval
        The verdict in a sentence, and the gain with its interval in words.
    """

    trial: TrialRecord
    verdict: str
    interval: str = ""


def leave_models(
    folder: StudyFolder,
    facts: Mapping[str, Any],
    prepared: PreparedCorpus,
    run: RunSettings,
    confirmed: Mapping[str, Confirmed],
    say: Callable[[str], None],
    prior: Mapping[str, float] | None = None,
    champion: str = "winner",
) -> None:
    """Leave a model of each confirmed trial in the study's folder and in MLflow.

    A model that is there already is not made again, and what was interrupted goes on. A recipe that gives no model is
    told, and stops nothing: the verdict does not hang on it.

    Parameters
    ----------
    folder, facts
        The study's folder, and what ``study.json`` says.
    prepared, run
        What the trials were run on.
    confirmed
        By the name of its folder, one of :data:`study.record.folder.MODELS`.
    say
        Called with each line for the user.
    prior
        Class shares of the texts that the models are for; None or empty takes those of the corpus.
    champion
        The model to use: what labels texts unless another one is asked for. It is noted once it is there.

    Raises
    ------
    ConfigurationError
        The prior is not one of the classes.
    StudyStopped
        The scores of a confirmed run cannot be read.
    """
    labels = np.concatenate([prepared.train_labels, prepared.validation_labels])
    shares = class_shares(prior or None, prepared.classes, labels)
    for which, of in confirmed.items():
        target = folder.model(which)
        try:
            made = export_model(
                prepared,
                run,
                TrialSettings.from_config(of.trial.config),
                of.trial.imbalance_ratio,
                calibration_of(of.trial, Path(run.scores_dir), shares),
                _card(facts, of),
                target,
            )
        except (ConfigurationError, TrialFailed) as error:
            say(f"No model of the {which} could be left: {error}.")
            continue
        if made:
            whose = "Vanilla" if which == "vanilla" else "The winner"
            say(f"{whose}'s recipe was trained on training and validation texts together: {target}.")
        say(
            register_model(
                facts["mlflow"]["tracking_uri"],
                facts["study"],
                facts["study_id"],
                target,
                of.verdict,
                alias=which,
                serves=which == champion,
            )
        )
        if which == champion:
            write_atomically(folder.champion, f"{which}\n")


def calibration_of(trial: TrialRecord, scores: Path, prior: tuple[float, ...]) -> Calibration:
    """Return the calibration of a confirmed trial, from what all its replicates said of their validation texts.

    Raises
    ------
    StudyStopped
        The scores cannot be read.
    """
    runs = [RunScores.load(scores_path(scores, trial.trial_id, r)) for r in sorted(trial.replicates)]
    return calibrate(
        np.concatenate([each.validation for each in runs]),
        np.concatenate([each.validation_labels for each in runs]),
        prior,
    )


def _card(facts: Mapping[str, Any], of: Confirmed) -> ModelCard:
    return ModelCard(
        study=facts["study"],
        verdict=of.verdict,
        interval=of.interval,
        corpus=facts["corpus"]["source"],
        notice=facts["corpus"]["notice"],
        command=shlex.join(facts["command"]),
    )
