"""A study's model in MLflow: logged under the launch's run, registered under the study's name, with an alias."""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from study.tracking.uri import open_client, reason, shown_uri
from trainables.export.about import read_about

CHAMPION = "champion"
# What it takes to serve the model.
_REQUIREMENTS = ("mlflow", "numpy", "onnxruntime", "pandas", "tokenizers")
_CODE = Path(__file__).with_name("served_model.py")
_DIGEST = "digest"
_EXAMPLE = "A text whose class is asked for."


def register_model(
    uri: str,
    study: str,
    study_id: str,
    folder: Path,
    description: str,
    alias: str = "winner",
    serves: bool = True,
) -> str:
    """Log a model and register it under the study's name; the same model is registered once.

    What fails in MLflow is told, and costs nothing: the model lies in its folder.

    Parameters
    ----------
    uri
        MLflow tracking URI.
    study, study_id
        The study, which :class:`study.tracking.tracker.Tracker` has written to MLflow.
    folder
        The model, as :func:`trainables.final_model.export_model` leaves it.
    description
        The verdict in words.
    alias
        Name by which the registry gives this version.
    serves
        Whether it is the one to use, which the registry gives by the name :data:`CHAMPION`, too.

    Returns
    -------
    A sentence for the user: where the model is registered, or why it is not.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    about = read_about(folder)
    if about is None:
        raise ValueError(f"{folder} holds no model")
    try:
        client = open_client(uri)
        version = _registered(client, study, alias, about[_DIGEST])
        if version is None:
            # Earlier versions of this project gave the winner that name alone.
            version = _registered(client, study, CHAMPION, about[_DIGEST])
            if version is None:
                version = _register(client, study, study_id, folder, about, description)
            client.set_registered_model_alias(study, alias, version)
        if serves:
            client.set_registered_model_alias(study, CHAMPION, version)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        return (
            f"MLflow at {shown_uri(uri)} did not take the model ({reason(uri, error)}). It lies in {folder}; the same "
            "command registers it when MLflow does."
        )
    name = CHAMPION if serves else alias
    return f"Model: {folder}; in MLflow models:/{study}@{name} (version {version})."


def _registered(client: Any, study: str, alias: str, digest: str) -> str | None:
    """Return the version that an alias names, if it is the model of this digest."""
    from mlflow.exceptions import MlflowException

    try:
        version = client.get_model_version_by_alias(study, alias)
    except MlflowException as error:
        if error.error_code in (
            "RESOURCE_DOES_NOT_EXIST",
            "INVALID_PARAMETER_VALUE",
        ):  # no such model, or alias
            return None
        raise
    return str(version.version) if version.tags.get(_DIGEST) == digest else None


def _register(
    client: Any,
    study: str,
    study_id: str,
    folder: Path,
    about: dict[str, Any],
    description: str,
) -> str:
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(study)
    if experiment is None:
        raise MlflowException(f"it holds no experiment {study}")
    run_id = _launch_run(client, experiment.experiment_id, study_id)
    tags = {_DIGEST: about[_DIGEST], "arm": str(about["settings"]["arm"])}
    logged = client.create_logged_model(
        experiment.experiment_id,
        name=folder.name,
        source_run_id=run_id,
        tags=tags,
        model_type="text-classification",
    )
    try:
        with tempfile.TemporaryDirectory() as made:
            saved = Path(made, "model")
            save_pyfunc(folder, about["classes"], saved)
            client.log_model_artifacts(logged.model_id, str(saved))
    except BaseException:
        client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
    if not client.search_registered_models(filter_string=f"name = '{study}'"):
        client.create_registered_model(study, description=f"Models of the study {study}.")
    version = client.create_model_version(
        study,
        logged.artifact_location,  # models:/ID would be looked up in the tracking store of the whole process
        run_id=run_id,
        tags=tags,
        description=description,
        model_id=logged.model_id,
    )
    return str(version.version)


def _launch_run(client: Any, experiment_id: str, study_id: str) -> str | None:
    runs = client.search_runs([experiment_id], f"tags.study_id = '{study_id}'", order_by=["start_time ASC"])
    return next((run.info.run_id for run in runs if "trial_id" not in run.data.tags), None)


def save_pyfunc(folder: Path, classes: Sequence[str], path: Path) -> None:
    """Write a model in MLflow's format, complete in itself: weights, tokenizer, code, requirements, an example."""
    import mlflow
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    mlflow.pyfunc.save_model(
        path,
        python_model=str(_CODE),
        artifacts={"model": str(folder)},
        signature=ModelSignature(
            inputs=Schema([ColSpec(DataType.string, "text")]),
            outputs=Schema([ColSpec(DataType.double, name) for name in classes]),
        ),
        input_example=pd.DataFrame({"text": [_EXAMPLE]}),
        pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in _REQUIREMENTS],
    )
