"""A corpus whose replicates vary the split: what they share, which sizes all of them can draw, and the caches."""

import dataclasses
import pickle

import numpy as np
import pytest

from tests.tiny_encoder import write_tiny_encoder
from trainables.corpora.drug_labels.sample import generate_sample
from trainables.corpora.imbalance import Profile, ranked
from trainables.corpora.split_settings import SplitSettings
from trainables.draw_sizes import count_faults, shared_n_max, short_class_remarks
from trainables.errors import ConfigurationError
from trainables.prepared import RunSettings, prepare
from trainables.replicate import draw_rows, majority_first, run_replicate
from trainables.resplit import prepare_resplit
from trainables.settings import EncoderSettings, TrialSettings
from trainables.trial import TrialJob
from trainables.worker import run_trial
from trainables.world import World

REPLICATES = 5
RESPLIT = SplitSettings(resplit=True)


@pytest.fixture(scope="module")
def corpus():
    return generate_sample(600)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = write_tiny_encoder(tmp_path_factory.mktemp("encoder"))
    return EncoderSettings(name=str(folder), max_length=16, precision="float32", device="cpu")


def resplit(corpus, encoder, **options):
    values = {"replicates": REPLICATES, "max_validation_rows": None, "split_settings": RESPLIT, **options}
    return prepare_resplit(corpus, encoder, study_seed=1, **values)


@pytest.fixture(scope="module")
def shared(corpus, encoder):
    return resplit(corpus, encoder)


def run_settings(encoder, folder, **values):
    return RunSettings(
        study_seed=1, encoder=encoder, max_train_rows=None, cache_dir=str(folder),
        **{"profile": "step", "n_max": 20, **values},
    )  # fmt: skip


def texts_of(parts, corpus):
    """Return the training texts of a replicate, told by their tokens too."""
    assert len(parts.train_texts) == len(parts.train_tokens) == len(parts.train_labels)
    label_of_text = dict(zip(corpus.texts, corpus.labels.tolist(), strict=True))
    assert [label_of_text[text] for text in parts.train_texts] == parts.train_labels.tolist()
    return set(parts.train_texts)


def test_replicates_differ_in_train_and_validation_and_share_test(corpus, shared, encoder):
    without = prepare(corpus, encoder, study_seed=1, max_validation_rows=None)
    views = [shared.of_replicate(replicate) for replicate in range(REPLICATES)]
    assert len({tuple(sorted(texts_of(view, corpus))) for view in views}) == REPLICATES
    for view in views:
        assert np.array_equal(view.test_tokens.ids, without.test_tokens.ids)
        assert np.array_equal(view.test_labels, without.test_labels)
        rows = len(view.train_labels) + len(view.validation_labels)
        assert rows == len(without.train_labels) + len(without.validation_labels)
    with pytest.raises(IndexError, match="replicate 5 has no split: 5 of them were made"):
        shared.of_replicate(REPLICATES)


def test_tokens_and_labels_of_a_part_are_those_of_its_texts(corpus, shared, encoder):
    from trainables.model.encoder import load_tokenizer
    from trainables.texts.tokens import tokenise

    view = shared.of_replicate(3)
    texts_of(view, corpus)
    again = tokenise(view.train_texts, load_tokenizer(encoder), encoder.max_length)
    assert np.array_equal(again.ids, view.train_tokens.ids)


def test_the_size_of_what_workers_get_hardly_grows_with_replicates(corpus, encoder):
    few, many = (len(pickle.dumps(resplit(corpus, encoder, replicates=n))) for n in (1, 41))
    assert many - few <= 45 * len(corpus)  # one byte a row and replicate


def test_a_bound_on_test_rows_keeps_those_that_one_split_would_keep(corpus, encoder):
    without = prepare(corpus, encoder, study_seed=1, max_validation_rows=None, max_test_rows=30)
    bounded = resplit(corpus, encoder, max_test_rows=30)
    assert len(bounded.test_labels) == 30
    assert np.array_equal(bounded.of_replicate(2).test_tokens.ids, without.test_tokens.ids)


def test_replicates_that_share_one_split_are_as_they_were(corpus, encoder):
    without = prepare(corpus, encoder, study_seed=1, max_validation_rows=None)
    assert without.of_replicate(0) is without and without.of_replicate(7) is without
    assert not any("of its own" in remark for remark in without.remarks)


def test_a_bound_on_validation_rows_keeps_them_out_of_train_too(corpus, encoder, shared):
    bounded = resplit(corpus, encoder, max_validation_rows=40)
    for replicate in range(REPLICATES):
        view, whole = bounded.of_replicate(replicate), shared.of_replicate(replicate)
        assert len(view.validation_labels) == 40
        assert view.train_texts == whole.train_texts


def test_a_balanced_validation_part_is_balanced_in_every_replicate_or_names_one(corpus, encoder, shared):
    balanced = resplit(corpus, encoder, validation_per_class=5)
    assert (balanced.validation_rows() == 5).all()
    rows = shared.validation_rows()
    c = int(rows.min(axis=0).argmin())
    replicate, least = int(rows[:, c].argmin()), int(rows[:, c].min())
    with pytest.raises(ConfigurationError) as caught:
        resplit(corpus, encoder, validation_per_class=least + 1)
    (fault,) = caught.value.faults
    assert f"'{shared.classes[c]}' ({least} rows) in replicate {replicate}" in fault
    assert f"lower it to {least} or less" in fault


def test_every_replicate_can_draw_the_shared_n_max_and_a_larger_one_names_the_replicate(shared, encoder):
    counts = np.bincount(shared.labels).tolist()
    # A replicate with three rows less than the others of the class that bounds n_max.
    parts, bounding = shared.parts.copy(), ranked(counts)[2]
    parts[2, np.flatnonzero((parts[2] == 0) & (shared.labels == bounding))[:3]] = 1
    shared = dataclasses.replace(shared, parts=parts)
    profile = Profile("step", tuple(ranked(counts)))
    n_max = shared_n_max(shared, [0.1, 0.5], profile, None)
    run = run_settings(encoder, "none", profile=profile, n_max=n_max)
    sizes = {
        tuple(np.bincount(view.train_labels[draw_rows(view, run, 0.5, replicate)]).tolist())
        for replicate in range(REPLICATES)
        for view in [shared.of_replicate(replicate)]
    }
    assert len(sizes) == 1  # the draws differ in nothing but their rows
    assert count_faults(shared, [0.1, 0.5], profile, n_max) == []
    (fault,) = count_faults(shared, [0.5], profile, n_max + 1)
    rows = shared.train_rows()
    said = f"'{shared.classes[bounding]}' ({rows[:, bounding].min()} rows) in replicate 2"
    assert said in fault and f"{n_max + 1} needed" in fault
    whole = dataclasses.replace(profile, keep_short=True)
    (remark,) = short_class_remarks(shared, [0.5], whole, n_max + 1)
    assert "in replicate 2" in remark


def test_classes_of_nearly_equal_size_keep_their_places_in_all_replicates(shared, encoder):
    run = run_settings(encoder, "none")
    nearly = dataclasses.replace(shared, labels=np.arange(len(shared.labels)) % 5)
    orders = [nearly.of_replicate(r).train_rows()[0] for r in range(REPLICATES)]
    assert len({tuple(ranked(counts.tolist())) for counts in orders}) > 1  # by their own rows they would not
    assert (
        len({tuple(majority_first(nearly.of_replicate(r), run, "natural")) for r in range(REPLICATES)}) == 1
    )


@pytest.mark.parametrize("arm", ["vanilla", "tfidf_lr"])
def test_a_trial_gives_each_replicate_its_own_parts(shared, encoder, tmp_path, arm):
    settings = TrialSettings(
        arm=arm, imbalance_ratio=0.5, **({"stage2_steps": 2} if arm == "vanilla" else {})
    )
    job = TrialJob(
        trial_id="v", phase="reference", settings=settings, replicates=(0, 3), objective="val/macro_f1"
    )
    run, reports = run_settings(encoder, tmp_path / "cache"), []
    run_trial(job, shared, run, reports.append, World.single())
    for report, replicate in zip(reports, (0, 3), strict=True):
        alone = run_replicate(shared.of_replicate(replicate), run, settings, replicate, World.single())
        other = run_replicate(shared.of_replicate(1), run, settings, replicate, World.single())
        assert report["record"]["metrics"] == alone.metrics
        assert report["record"]["metrics"] != other.metrics


def test_no_stage_or_augmentation_of_another_split_is_taken_from_the_cache(shared, encoder, tmp_path):
    """The same trial, seeds and draw sizes on two splits: were rows told by their number, the second would get it."""
    settings = TrialSettings(
        operator="random_delete", strength=0.3, stage1_steps=2, stage2_steps=2, imbalance_ratio=0.5
    )
    one, other = shared.of_replicate(0), shared.of_replicate(1)

    def score(parts, folder):
        run = run_settings(encoder, tmp_path / folder, share_vanilla=True)
        return run_replicate(parts, run, settings, 0, World.single())

    score(one, "both")
    again, second, alone = score(one, "both"), score(other, "both"), score(other, "alone")
    assert again.diagnostics["augmentation_cache_hits"] == 1  # the cache is on
    assert second.diagnostics["augmentation_cache_hits"] == 0
    assert second.metrics == alone.metrics != again.metrics
