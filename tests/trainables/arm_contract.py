"""What every arm has to keep, whatever it does. A new arm subclasses ``ArmContract``."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from trainables.method.arms import settings_of, stage1_recipe
from trainables.method.stages import stages_of
from trainables.method.texts import ReplicateTexts
from trainables.method.two_stage import train_arm
from trainables.model.encoder import build_classifier
from trainables.seeds import ReplicateSeeds, derive_seed
from trainables.settings import STAGE1_DATA, TrialSettings, duplicated_counterpart
from trainables.texts.labelled import LabelledTexts

# Another value of every setting that acts on training; the others act on the rows, see test_replicate.py.
OTHER = {
    "stage1_trainable": "last_block",
    "stage1_schedule": "linear",
    "stage1_epochs": 2.0,
    "stage1_steps": 9,
    "stage1_learning_rate": 5e-4,
    "head": "reinit",
    "stage2_schedule": "constant",
    "stage2_epochs": 2.0,
    "stage2_steps": 9,
    "stage2_learning_rate": 5e-4,
    "warmup": 0.5,
    "batch_size": 8,
    "weight_decay": 0.3,
    "max_grad_norm": 0.05,
    "layer_decay": 0.5,
    "dropout": 0.4,
    "tau": 0.5,
    "weight_power": 0.5,
    "beta": 0.9,
    "gamma": 0.5,
    "head_epochs": 6.0,
    "head_learning_rate": 5e-3,
    "smote_neighbours": 1,
    "masking_rate": 0.5,
}
DECIDES_ROWS = (
    "arm",
    "imbalance_ratio",
    "operator",
    "strength",
    "copies",
    "stage1_data",
    "stage1_rows_per_class",
)
REPLACED_BY = {"stage1_epochs": "stage1_steps", "stage2_epochs": "stage2_steps"}


def rows_of(toy, counts):
    """Return as many rows of each class as asked for; rows repeat where the toy has too few."""
    tokens, labels = toy
    chosen = np.concatenate([np.resize(np.flatnonzero(labels == c), n) for c, n in enumerate(counts)])
    return LabelledTexts(tokens.select(chosen), labels[chosen])


class ArmContract:
    """Laws of an arm.

    ``arm`` is its name, ``values`` are settings that it needs.
    """

    arm = ""
    values: dict[str, object] = {}  # noqa: RUF012

    def settings(self, **values):
        rates = {"stage1_learning_rate": 2e-3, "stage2_learning_rate": 2e-3, "head_learning_rate": 1e-2}
        short = {"stage1_epochs": 0.5, "stage2_epochs": 1.0, "head_epochs": 2.0}
        return TrialSettings(**{"arm": self.arm, **rates, **short, **self.values, **values})

    def run(self, encoder, toy, settings, counts=(24, 12, 6), **options):
        original = rows_of(toy, counts)
        stage1 = rows_of(toy, (20, 20, 20)) if stage1_recipe(settings) else None
        seeds = ReplicateSeeds(options.pop("study_seed", 1), 0)
        evaluation = {"val": toy[0].select(np.arange(30))}
        return train_arm(settings, encoder, 3, ReplicateTexts(original, stage1), evaluation, seeds, **options)

    def test_learns_a_separable_toy(self, encoder, toy):
        """The loss falls from its value before training, and the rows are told apart."""
        rates = dict.fromkeys(("stage1_learning_rate", "stage2_learning_rate"), 4e-3)
        values = {**rates, "stage1_steps": 20, "head_epochs": 10.0, "dropout": 0.0}
        long = self.run(encoder, toy, self.settings(**values, stage2_steps=50), (30, 25, 20))
        start = self.run(encoder, toy, self.settings(**values, stage2_steps=1), (30, 25, 20))
        last = list(long.reports)[-1]
        assert long.reports[last].last_loss < start.reports[last].mean_loss
        assert (long.logits["val"].argmax(1) == toy[1][:30]).mean() > 0.8

    def test_one_row_beside_a_thousand(self, encoder, toy):
        """Weights, margins, neighbours and draws of a class of one row leave everything finite."""
        length = {"stage1_steps": 2, "stage2_steps": 2, "head_epochs": 0.05}
        result = self.run(encoder, toy, self.settings(**length), (1000, 1, 1), keep_model=True)
        assert np.isfinite(result.logits["val"]).all()
        assert all(torch.isfinite(p).all() for p in result.model.parameters())
        assert all(np.isfinite(report.mean_loss) for report in result.reports.values())

    def test_the_seed_decides_everything(self, encoder, toy):
        first, again, other = (
            self.run(encoder, toy, self.settings(), study_seed=seed).logits["val"] for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_works_on_another_architecture(self, distilbert, toy):
        first, again = (self.run(distilbert, toy, self.settings()).logits["val"] for _ in range(2))
        assert np.isfinite(first).all()
        np.testing.assert_array_equal(first, again)

    def test_works_in_half_precision(self, encoder, toy):
        half = dataclasses.replace(encoder, precision="bfloat16")
        assert np.isfinite(self.run(half, toy, self.settings()).logits["val"]).all()

    def test_steps_are_reported_and_are_those_that_were_made(self, encoder, toy):
        result = self.run(encoder, toy, self.settings(stage1_steps=3))
        assert [stage.settings.steps for stage in result.stages] == [
            result.reports[stage.name].steps for stage in result.stages
        ]
        assert all(stage.settings.steps == 3 for stage in result.stages if stage.name == "stage1")

    @pytest.mark.parametrize("recipe", STAGE1_DATA)
    def test_runs_with_every_recipe_of_the_stage_1_set(self, encoder, toy, recipe):
        settings = self.settings(stage1_data=recipe)
        asked = stage1_recipe(settings)
        reads = "stage1_data" in settings_of(self.arm)
        own = duplicated_counterpart(recipe) if self.arm == "prefinetune_duplicated" else recipe
        assert asked == (own if reads else None)
        if reads:
            assert np.isfinite(self.run(encoder, toy, settings).logits["val"]).all()

    def test_what_it_is_said_to_read_changes_it_and_nothing_else_does(self, encoder, toy):
        reads = settings_of(self.arm)
        base = self.settings(stage1_trainable="all", beta=0.999)
        expected = self.run(encoder, toy, base).logits["val"]
        unread = {name: value for name, value in OTHER.items() if name not in reads}
        np.testing.assert_array_equal(self.run(encoder, toy, self.settings(**unread)).logits["val"], expected)
        for name in reads:
            replaced = name in REPLACED_BY and getattr(base, REPLACED_BY[name]) is not None
            if name in DECIDES_ROWS or replaced:
                continue
            changed = self.run(encoder, toy, self.settings(**{name: OTHER[name]})).logits["val"]
            assert not np.array_equal(changed, expected), name

    def test_shares_the_fresh_head_and_the_order_of_stage_2_with_vanilla(self, encoder, toy):
        rows = ReplicateTexts(rows_of(toy, (24, 12, 6)), rows_of(toy, (20, 20, 20)))
        own = stages_of(self.settings(), rows, 3, ReplicateSeeds(1, 4))[-1]
        assert own.settings.seed == derive_seed(1, "stage2", 4)
        idle = self.settings(stage1_learning_rate=0.0, stage2_learning_rate=0.0)
        kept = self.run(encoder, toy, idle, keep_model=True).model.classifier.weight
        if "head_epochs" not in settings_of(self.arm):
            assert torch.equal(kept, build_classifier(encoder, 3, derive_seed(1, "head")).classifier.weight)


class CorrectionContract(ArmContract):
    """Laws of an arm that only corrects for class counts, and so is exactly vanilla where they are equal."""

    def test_equals_vanilla_bit_for_bit_where_classes_are_equal(self, encoder, toy):
        """Its weights are exactly 1, its offsets exactly 0, its rows the original ones in their order."""
        own = self.run(encoder, toy, self.settings(), (12, 12, 12)).logits["val"]
        vanilla = self.run(encoder, toy, self.settings(arm="vanilla"), (12, 12, 12)).logits["val"]
        np.testing.assert_array_equal(own, vanilla)

    def test_differs_from_vanilla_where_they_are_not(self, encoder, toy):
        own = self.run(encoder, toy, self.settings()).logits["val"]
        vanilla = self.run(encoder, toy, self.settings(arm="vanilla")).logits["val"]
        assert not np.array_equal(own, vanilla)
