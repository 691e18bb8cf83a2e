"""The model to take home: a confirmed recipe trained on training and validation rows, calibrated and saved.

What it is worth was measured on replicates, on rows that their models had not seen; nothing is measured here.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainables.augment.stage1_set import DrawnRows
from trainables.corpora.imbalance import Profile, draw
from trainables.errors import ConfigurationError
from trainables.export.about import holds_model
from trainables.export.calibration import Calibration
from trainables.export.card import ModelCard, TrainedModel
from trainables.export.folder import write_card, write_model
from trainables.method.arms import LINEAR_ARMS, arm_of, stage1_recipe
from trainables.method.texts import ReplicateTexts
from trainables.method.two_stage import train_arm
from trainables.model.encoder import encoder_digest, load_tokenizer, resolve_precision
from trainables.prepared import PreparedCorpus, RunSettings
from trainables.replicate import majority_first, possible_n_max, stage1_texts
from trainables.reuse.cache import ContentCache
from trainables.reuse.keys import TRAINING_VERSION
from trainables.reuse.stage_tree import Reuse
from trainables.seeds import ReplicateSeeds, derive_seed, generator
from trainables.settings import NATURAL, EncoderSettings, TrialSettings, digest_of
from trainables.texts.labelled import LabelledTexts
from trainables.texts.tokens import TokenisedTexts
from trainables.world import World

_VERSION = 1  # raised when the same arguments no longer give the same folder
_COMPARED = 5  # texts, from the shortest to the longest


@dataclasses.dataclass(frozen=True)
class LabelledRows:
    """n rows with their texts; ``texts`` is empty where the corpus does not carry those of its validation rows."""

    texts: list[str]
    tokens: TokenisedTexts
    labels: npt.NDArray[np.int64]


def export_model(
    prepared: PreparedCorpus,
    run: RunSettings,
    settings: TrialSettings,
    ratio: float | str,
    calibration: Calibration,
    card: ModelCard,
    folder: Path,
    world: World | None = None,
) -> bool:
    """Train a recipe on training and validation rows and save it with its calibration.

    Nothing is done where the folder already holds this very model, except that its card is brought up to date. A
    training that was interrupted goes on at its last checkpoint.

    Parameters
    ----------
    prepared, run
        The corpus, and what all trials of the study have in common.
    settings
        The recipe.
    ratio
        Imbalance ratio of the rows to train on; ``"natural"`` takes all of them.
    calibration
        Of this recipe's scores: :func:`trainables.export.calibration.calibrate`.
    card
        What the study says of the model.
    folder
        Where it is saved; an older model there is replaced.
    world
        The workers that share the training; all of them have to see the folder.

    Returns
    -------
    Whether the model was made by this call.

    Raises
    ------
    ConfigurationError
        The arm's model cannot be saved: a linear classifier, or a normalised output layer.
    TrialFailed
        Training diverged, or what was saved gives other probabilities than what was trained.
    """
    world = world or World.single()
    if faults := unsaveable(settings.arm):
        raise ConfigurationError(faults)
    settings = dataclasses.replace(settings, imbalance_ratio=ratio)
    rows = rows_to_train_on(prepared, run, ratio)
    model = TrainedModel(
        classes=prepared.classes,
        counts=tuple(np.bincount(rows.labels, minlength=len(prepared.classes)).tolist()),
        settings=settings.to_config(),
        encoder=run.encoder.name,
        max_length=run.encoder.max_length,
        calibration=calibration,
    )
    digest = _digest(prepared, run, rows, model)
    is_there = world.first_says(holds_model(folder, digest))
    if not is_there:
        trained = _train(prepared, run, settings, rows, world)
        if world.rank == 0:
            write_model(trained, run.encoder, model, card, digest, _compared(rows, run.encoder), folder)
    elif world.rank == 0:
        write_card(folder, card, model)
    return not is_there


def unsaveable(arm: str) -> list[str]:
    """Return why an arm gives no model to take home; empty if it does."""
    if arm in LINEAR_ARMS:
        return [f"arm {arm} is a linear classifier on fixed features, which transformers has no format for"]
    if arm_of(arm).normalised:
        return [f"arm {arm} has a normalised output layer, which transformers has no format for"]
    return []


def rows_to_train_on(prepared: PreparedCorpus, run: RunSettings, ratio: float | str) -> LabelledRows:
    """Return a draw from training and validation rows together, as large as the study's draws and ranked as they are.

    So the model is what was confirmed; without a bound on the rows it has all of them.
    """
    tokens = TokenisedTexts.concatenate([prepared.train_tokens, prepared.validation_tokens])
    labels = np.concatenate([prepared.train_labels, prepared.validation_labels])
    profile, n_max = Profile.of(run.profile), None
    if ratio != NATURAL:
        profile = dataclasses.replace(profile, order=tuple(majority_first(prepared, run, ratio)))
        counts = np.bincount(labels, minlength=len(prepared.classes))
        n_max = possible_n_max(run, counts, ratio, profile)
    drawn = draw(
        labels,
        ratio,
        profile=profile,
        n_max=n_max,
        max_rows=run.max_train_rows,
        rng=generator(run.study_seed, "final model"),
        bound="max_train_rows",
    )
    texts = [*prepared.train_texts, *prepared.validation_texts]
    known = texts if len(texts) == len(labels) else []
    return LabelledRows(
        [known[row] for row in drawn.tolist()] if known else [], tokens.select(drawn), labels[drawn]
    )


def _train(
    prepared: PreparedCorpus, run: RunSettings, settings: TrialSettings, rows: LabelledRows, world: World
) -> object:
    cache = ContentCache(Path(run.cache_dir), run.cache_max_bytes)
    seeds = ReplicateSeeds(derive_seed(run.study_seed, "final model"), 0)
    recipe = stage1_recipe(settings)
    stage1 = None
    if recipe is not None:
        if not rows.texts:
            raise ValueError(f"arm {settings.arm} needs the texts of validation rows, which were not kept")
        drawn = DrawnRows(rows.texts, rows.labels, len(prepared.classes))
        _, stage1 = stage1_texts(prepared, run, settings, drawn, recipe, seeds.of("augment"), cache)
    return train_arm(
        settings,
        run.encoder,
        len(prepared.classes),
        ReplicateTexts(LabelledTexts(rows.tokens, rows.labels), stage1),
        {},
        seeds,
        world=world,
        reuse=Reuse(cache, checkpoint_every_s=run.checkpoint_every_s),
        keep_model=True,
    ).model


def _compared(rows: LabelledRows, encoder: EncoderSettings) -> list[str]:
    """Return some texts of different lengths."""
    by_length = np.argsort(rows.tokens.lengths, kind="stable")
    chosen = by_length[np.linspace(0, len(by_length) - 1, min(_COMPARED, len(by_length))).astype(int)]
    if rows.texts:
        return [rows.texts[row] for row in chosen.tolist()]
    tokens = rows.tokens.select(chosen)
    written = (
        load_tokenizer(encoder).decode(tokens.select([row]).ids, skip_special_tokens=True)
        for row in range(len(tokens))
    )
    return list(written)


def _digest(prepared: PreparedCorpus, run: RunSettings, rows: LabelledRows, model: TrainedModel) -> str:
    of_rows = hashlib.sha256(rows.tokens.ids.tobytes() + rows.labels.tobytes()).hexdigest()
    return digest_of(
        {
            "version": [_VERSION, TRAINING_VERSION],
            "corpus": prepared.digest,
            "rows": of_rows,
            "seed": run.study_seed,
            "encoder": [encoder_digest(run.encoder), run.encoder.layers, str(resolve_precision(run.encoder))],
            "options": {name: dict(options) for name, options in run.operator_options.items()},
            **dataclasses.asdict(model),
        },
        length=16,
    )
