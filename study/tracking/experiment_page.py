"""How a study appears on MLflow's own pages: notes, tags, corpus, and the view sorted by gain."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from study.tracking.projection import bound_name, gain_name, renaming

SHOWN_PARAMS = ("operator", "strength", "stage1_epochs", "stage1_learning_rate", "stage2_learning_rate")
_BOUNDS = ("ci_low", "ci_high")
SHOWN_TAGS = ("imbalance_ratio", "phase", "verdict", "replicates", "state")


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What the parent run says about a study.

    Attributes
    ----------
    study, study_id
        Name of the experiment, and an identity that stays when a study is resumed and changes with ``--fresh``.
    preset, encoder, objective
        From the study's configuration.
    corpus
        ``source``, ``digest``, ``rows``, ``groups``, ``classes`` (rows by class name), ``is_sample`` and ``notice``.
    remarks
        Sentences on the texts that stand beside the result.
    tokens
        What the encoder knows of the texts: shares by name.
    versions
        Versions by package.
    git_commit
        Commit of this project; None outside a repository.
    artifacts
        Folder of the experiment's artifacts; None leaves the choice to the MLflow server.
    """

    study: str
    study_id: str
    preset: str
    encoder: str
    objective: str
    corpus: Mapping[str, Any]
    remarks: Sequence[str] = ()
    tokens: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    git_commit: str | None = None
    artifacts: Path | None = None


def view_key(objective: str) -> str:
    """Return the key under which the experiment stores the view of runs sorted by gain."""
    return "by-" + gain_name(objective).replace("/", "-").replace("_", "-")


def experiment_tags(objective: str) -> dict[str, str]:
    """Return the tags of an experiment: its kind (so that it opens on the runs table), note and saved view.

    The saved view has the form that MLflow 3.17's own pages write; a server that does not know it shows its default
    columns.
    """
    return {
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.note.content": _reading_note(objective),
        f"mlflow.sharedViewState.{view_key(objective)}": _saved_view(objective),
    }


def shared_tags(launch: Launch) -> dict[str, str]:
    """Return the tags that the parent run and every trial carry."""
    tags = {
        "study_id": launch.study_id,
        "corpus_digest": str(launch.corpus["digest"]),
        "mlflow.source.name": f"study.launch {launch.study}",
        "mlflow.source.type": "LOCAL",
    }
    if launch.git_commit is not None:
        tags |= {"git_commit": launch.git_commit, "mlflow.source.git.commit": launch.git_commit}
    if launch.corpus["is_sample"]:
        tags |= {"sample_corpus": "true", "mlflow.note.content": launch.corpus["notice"]}
    return tags


def parent_tags(launch: Launch) -> dict[str, str]:
    """Return the tags of the parent run, whose note explains how to read the trials."""
    notes = [f"**{launch.corpus['notice']}**"] if launch.corpus["notice"] else []
    notes += [f"Note: {remark}" for remark in launch.remarks]
    notes += [f"Note: {sentence}" for sentence in [renaming(launch.corpus["classes"])] if sentence]
    return {
        **shared_tags(launch),
        "phase": "launch",
        "study": launch.study,
        "preset": launch.preset,
        "encoder": launch.encoder,
        "mlflow.note.content": "\n\n".join([*notes, _reading_note(launch.objective)]),
        **{f"tokens.{name}": f"{share:g}" for name, share in launch.tokens.items()},
        **{f"version.{package}": version for package, version in launch.versions.items()},
    }


def corpus_input(launch: Launch) -> Any:
    """Return the corpus as MLflow's description of a dataset, with the context of its use."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    corpus = launch.corpus
    profile = {
        "num_rows": corpus["rows"],
        "num_groups": corpus["groups"],
        "rows_per_class": corpus["classes"],
    }
    dataset = Dataset(
        name=launch.study,
        digest=str(corpus["digest"])[:36],
        source_type="local",
        source=json.dumps({"uri": corpus["source"]}),
        profile=json.dumps(profile, ensure_ascii=False),
    )
    context = "sample corpus" if corpus["is_sample"] else "corpus"
    return DatasetInput(dataset, [InputTag("mlflow.data.context", context)])


def _reading_note(objective: str) -> str:
    gain, low, high = gain_name(objective), gain_name(objective, "ci_low"), gain_name(objective, "ci_high")
    return f"""How to read these runs

- Sort by `{gain}`: the mean difference to the reference vanilla of the same imbalance ratio on the same \
replicates. The vanilla run of each ratio stands at 0; what sorts above it scored \
higher on average, which may be chance.
- `{low}` and `{high}` are its 95 % interval. An interval that holds 0 shows no difference.
- Compare within one `imbalance_ratio`: filter with `tags.imbalance_ratio = '0.1'`.
- `{objective}` is the mean over `replicates`, with its 95 % interval beside it (`…_ci_low`, `…_ci_high`); \
a trial that was `raced_out` has fewer of them. Single \
replicates are under `values/`, with step = replicate.
- The best gain of a search is chosen among many, so it is too optimistic. Judge by runs of phase `confirmation`: \
`verdict/gain` is on the test split, `verdict/ci_low` and `verdict/ci_high` are the interval that decides, and the tag \
`verdict` says what is shown. The report is among the artifacts of the parent run.
"""


def _saved_view(objective: str) -> str:
    gain = f"metrics.`{gain_name(objective)}`"
    bounds = [f"metrics.`{gain_name(objective, bound)}`" for bound in _BOUNDS]
    columns = [
        gain,
        *bounds,
        *(f"metrics.`verdict/{name}`" for name in ("gain", *_BOUNDS)),
        *(f"metrics.`{name}`" for name in (objective, *(bound_name(objective, b) for b in _BOUNDS))),
        *(f"tags.`{tag}`" for tag in SHOWN_TAGS),
        *(f"params.`{param}`" for param in SHOWN_PARAMS),
    ]
    state = {
        "orderByKey": gain,
        "orderByAsc": False,
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": dict.fromkeys(columns, 115) | {gain: 145},
        "runsHiddenMode": "SHOW_ALL",
    }
    now = round(time.time() * 1000)
    return json.dumps(
        {"name": "Gain over vanilla", "createdAt": now, "updatedAt": now, "state": json.dumps(state)}
    )
