"""Strengths that make the same of short texts are told in the plan."""

from __future__ import annotations

from dataclasses import replace

import pytest

from study.run.alike_strengths import alike_strengths_sentences
from tests.study.simulation import small_config
from tests.tiny_encoder import write_tiny_encoder
from trainables.corpora.drug_labels.sample import generate_sample
from trainables.prepared import RunSettings, prepare
from trainables.settings import EncoderSettings

SPACE = {"operator": ("random_swap", "random_delete"), "strength": (0.5, 0.05, 0.1)}


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    encoder = EncoderSettings(name=str(write_tiny_encoder(folder)), max_length=32, device="cpu")
    prepared = prepare(generate_sample(300), encoder, study_seed=1, max_validation_rows=None)
    run = RunSettings(
        study_seed=1, encoder=encoder, profile="step", n_max=20, max_train_rows=None, cache_dir=str(folder)
    )
    short = tuple(" ".join(text.split()[:9]) for text in prepared.train_texts)
    return prepared, replace(prepared, train_texts=short), run


def sentences(prepared, run, **changes):
    return alike_strengths_sentences(small_config(**{"space": SPACE, "first": {}, **changes}), prepared, run)


def test_strengths_that_make_the_same_of_short_texts_are_told(texts):
    long, short, run = texts
    [said] = sentences(short, run)
    assert said.startswith("Strength 0.05 and 0.1 make the same of 100 % with random_swap, ")
    assert "% with random_delete (of 128 training texts)" in said
    assert not any("0.05 and 0.1 make" in said for said in sentences(long, run))


def test_only_what_is_searched_is_tried(texts):
    _, short, run = texts
    assert sentences(short, run, trials=0) == sentences(short, run, space={"copies": (1, 2)}) == []
    assert sentences(short, run, space={"operator": ("paraphrase",), "strength": (0.05, 0.1)}) == []
    [said] = sentences(short, run, space={"operator": ("aeda",), "strength": {"low": 0.01, "high": 0.1}})
    assert "Strength 0.01 and 0.1 make the same of" in said
