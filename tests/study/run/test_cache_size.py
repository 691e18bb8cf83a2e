"""The cache holds what the running trials need at once, or the plan says that it does not."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from study.config.files import load_study_file
from study.config.study_files import known_studies
from study.run import preflight
from study.run.cache_size import cache_sentence, needed_bytes
from study.run.cluster import TrialResources
from tests.study.simulation import small_config

BERT_BASE = 109_483_778


def test_each_trial_needs_a_state_and_the_weights_of_every_length():
    state, weights = 3 * 4 * 1000, 4 * 1000
    assert needed_bytes(1000, lengths=3, trials=2) == 2 * (state + 3 * weights)
    assert needed_bytes(1000, lengths=0, trials=1) == state + weights


@pytest.mark.parametrize("study", known_studies())
def test_the_cluster_preset_holds_what_its_trials_need(study):
    config = load_study_file(study, "cluster", {})
    needed = needed_bytes(BERT_BASE, len(config.stage1_grid()), config.concurrency)
    assert needed <= config.cache_gb * 1e9 <= 1.2 * needed
    assert "Warning" not in cache_sentence(config, BERT_BASE, config.concurrency)
    small = dataclasses.replace(config, cache_gb=20.0)
    assert "cache_gb is 20, but with 32 trial(s)" in cache_sentence(small, BERT_BASE, config.concurrency)


@pytest.mark.parametrize("preset", ["smoke", "laptop"])
def test_the_packaged_encoder_needs_no_larger_cache(preset):
    assert "Warning" not in cache_sentence(load_study_file("adme", preset, {}), 22_714_757, 16)


def test_more_trials_than_the_cache_can_serve_are_warned_of():
    config = small_config(cache_gb=1.0)  # two lengths of stage 1
    most = int(1e9 / (20 * 10**6))
    assert "Warning" not in cache_sentence(config, 10**6, most)
    said = cache_sentence(config, 10**6, most + 1)
    assert "Warning: cache_gb is 1" in said and "1 million parameters" in said and "Raise cache_gb" in said
    assert "12.0 GB more for checkpoints" in cache_sentence(config, 10**6, 1000)


def test_the_plan_of_many_classes_shows_each_with_its_rows(monkeypatch, capsys):
    monkeypatch.setattr(preflight, "shape_of", lambda encoder: SimpleNamespace(parameters=10**6))
    labels = np.repeat(np.arange(120), 2)
    classes = tuple(f"class_{number}" for number in range(120))
    prepared = SimpleNamespace(classes=classes, train_labels=labels, validation_labels=labels)
    preflight.print_plan(
        small_config(),
        prepared,
        SimpleNamespace(encoder="", n_max=1, test_sets=()),
        TrialResources(workers=1, cpus=1, gpus=0, concurrency=2),
        preflight.Estimate(1, 1, 1.0, dict.fromkeys(("natural", 0.1), np.full(120, 2))),
        Console(width=80),
    )
    rows = [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines()]
    assert all([name, "2", "2"] in rows for name in classes)


def test_the_plan_warns_with_the_parameters_of_the_studys_own_encoder(monkeypatch, capsys):
    shapes = {"the encoder": SimpleNamespace(parameters=10**9)}
    monkeypatch.setattr(preflight, "shape_of", shapes.__getitem__)
    labels = np.array([0, 1])
    prepared = SimpleNamespace(classes=("a", "b"), train_labels=labels, validation_labels=labels)
    preflight.print_plan(
        small_config(),
        prepared,
        SimpleNamespace(encoder="the encoder", n_max=1, test_sets=()),
        TrialResources(workers=1, cpus=1, gpus=0, concurrency=2),
        preflight.Estimate(1, 1, 1.0, {"natural": np.array([1, 1])}),
        Console(),
    )
    said = capsys.readouterr().out
    assert "1000 million parameters" in said and "up to 40.0 GB are in use at once" in said
