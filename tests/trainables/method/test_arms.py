from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.trainables.arm_contract import DECIDES_ROWS, OTHER, ArmContract, CorrectionContract, rows_of
from trainables.errors import ConfigurationError
from trainables.method.arms import (
    ARM_TABLE,
    ARMS,
    HEAD_ARMS,
    LINEAR_ARMS,
    POSTHOC_ARM,
    TWO_STAGE_ARMS,
    settings_of,
)
from trainables.method.texts import ReplicateTexts
from trainables.method.two_stage import train_arm
from trainables.model.encoder import build_classifier
from trainables.reuse.cache import ContentCache
from trainables.reuse.lengths import StageLengths
from trainables.reuse.stage_tree import Reuse
from trainables.seeds import ReplicateSeeds
from trainables.settings import EncoderSettings, TrialSettings


class TestVanilla(ArmContract):
    arm = "vanilla"


class TestVanillaTuned(ArmContract):
    arm = "vanilla_tuned"

    def test_is_vanilla_at_the_same_settings(self, encoder, toy):
        own = self.run(encoder, toy, self.settings()).logits["val"]
        vanilla = self.run(encoder, toy, self.settings(arm="vanilla")).logits["val"]
        np.testing.assert_array_equal(own, vanilla)


class TestVanillaMatched(ArmContract):
    arm = "vanilla_matched"
    values = {"stage2_steps": 6}  # noqa: RUF012

    def test_needs_its_steps(self, encoder, toy):
        with pytest.raises(ConfigurationError, match="needs stage2_steps"):
            self.run(encoder, toy, self.settings(stage2_steps=None))


class TestLogitAdjustment(CorrectionContract):
    arm = "logit_adjustment"


class TestOversample(CorrectionContract):
    arm = "oversample"

    def test_an_epoch_goes_over_its_own_rows(self, encoder, toy):
        result = self.run(encoder, toy, self.settings(batch_size=8))
        assert np.bincount(result.stages[0].texts.labels).tolist() == [24, 24, 24]
        assert result.stages[0].settings.steps == 9


class TestUndersample(CorrectionContract):
    arm = "undersample"

    def test_an_epoch_goes_over_its_own_rows(self, encoder, toy):
        result = self.run(encoder, toy, self.settings(batch_size=8))
        assert np.bincount(result.stages[0].texts.labels).tolist() == [6, 6, 6]
        assert result.stages[0].settings.steps == 3


class TestWeighted(CorrectionContract):
    arm = "weighted"


class TestClassBalanced(CorrectionContract):
    arm = "class_balanced"


class TestFocal(ArmContract):
    arm = "focal"

    def test_gamma_zero_is_vanilla(self, encoder, toy):
        own = self.run(encoder, toy, self.settings(gamma=0.0)).logits["val"]
        vanilla = self.run(encoder, toy, self.settings(arm="vanilla")).logits["val"]
        np.testing.assert_array_equal(own, vanilla)


class TestLdamDrw(ArmContract):
    arm = "ldam_drw"

    def test_logits_are_thirty_times_cosines(self, encoder, toy):
        logits = self.run(encoder, toy, self.settings()).logits["val"]
        assert np.abs(logits).max() <= 30.0 * (1 + 1e-6)
        assert np.abs(logits).max() > 1.0


class TestAugmentSingleStage(ArmContract):
    arm = "augment_single_stage"

    @pytest.mark.parametrize(
        ("recipe", "rows"), [("augmented_balanced", 42 + 60), ("augmented_balanced+original", 60)]
    )
    def test_originals_enter_once_and_steps_are_those_of_both_stages(self, encoder, toy, recipe, rows):
        result = self.run(encoder, toy, self.settings(stage1_data=recipe))
        both = self.run(encoder, toy, self.settings(arm="prefinetune", stage1_data=recipe))
        assert len(result.stages[0].texts.labels) == rows
        assert result.stages[0].settings.steps == sum(stage.settings.steps for stage in both.stages)


class TestPrefinetune(ArmContract):
    arm = "prefinetune"


class TestPrefinetuneDuplicated(ArmContract):
    arm = "prefinetune_duplicated"


class FixedFirstStageContract(ArmContract):
    """Laws of an arm whose first stage trains one part on the original rows, whatever the settings say."""

    part = ""

    def test_stage_1_trains_its_part_on_the_original_rows(self, encoder, toy):
        first, second = self.run(encoder, toy, self.settings(stage1_trainable="all", head="reinit")).stages
        assert (first.settings.trainable, second.settings.trainable, second.head_seed) == (
            self.part,
            "all",
            None,
        )
        np.testing.assert_array_equal(first.texts.labels, second.texts.labels)


class TestTwoStageReweight(FixedFirstStageContract):
    arm = "two_stage_reweight"
    part = "last_block"


class TestLpFt(FixedFirstStageContract):
    arm = "lp_ft"
    part = "head"


class TestTapt(FixedFirstStageContract):
    arm = "tapt"
    part = "all"

    @pytest.fixture(scope="session")
    def encoder(self, masked_lm):
        return masked_lm

    @pytest.fixture(scope="session")
    def distilbert(self, masked_distilbert):
        return masked_distilbert

    @pytest.mark.parametrize("architecture", ["encoder", "distilbert"])
    def test_only_the_encoder_goes_on_with_the_head_that_vanilla_begins_with(
        self, request, toy, architecture
    ):
        encoder = request.getfixturevalue(architecture)
        settings = self.settings(stage2_learning_rate=0.0)
        own = self.run(encoder, toy, settings, keep_model=True).model.state_dict()
        before = build_classifier(encoder, 3, ReplicateSeeds(1, 0).of("head")).state_dict()
        kept = {name for name, value in before.items() if value.equal(own[name])}
        assert kept == {name for name in before if "pooler" in name or "classifier" in name}

    def test_an_encoder_without_the_head_is_refused(self, tiny_folder, toy):
        bare = EncoderSettings(name=str(tiny_folder), max_length=32, precision="float32", device="cpu")
        with pytest.raises(
            ConfigurationError, match=r"is no masked language model: its checkpoint lacks cls\."
        ):
            self.run(bare, toy, self.settings())

    def test_a_cached_first_stage_gives_the_same(self, encoder, toy, tmp_path):
        cache = ContentCache(tmp_path)
        plain, missed, hit = (
            self.run(encoder, toy, self.settings(), reuse=reuse)
            for reuse in (Reuse(), Reuse(cache), Reuse(cache))
        )
        assert missed.reports["stage1"] is not None and hit.reports["stage1"] is None
        for result in (missed, hit):
            np.testing.assert_array_equal(result.logits["val"], plain.logits["val"])

    def test_a_longer_first_stage_goes_on_from_a_shorter_one(self, encoder, toy, tmp_path):
        reuse = Reuse(ContentCache(tmp_path), StageLengths(steps=(3, 8)))
        self.run(encoder, toy, self.settings(stage1_steps=3), reuse=reuse)
        longer = self.run(encoder, toy, self.settings(stage1_steps=8), reuse=reuse)
        alone = self.run(encoder, toy, self.settings(stage1_steps=8))
        assert longer.reports["stage1"].resumed_at == 3
        np.testing.assert_array_equal(longer.logits["val"], alone.logits["val"])


class TestPaper(ArmContract):
    arm = "paper"

    def test_is_pre_finetuning_at_the_published_values(self, encoder, toy):
        recipe = ARM_TABLE["paper"].recipe
        assert set(recipe) <= set(settings_of("paper")) == set(settings_of("prefinetune"))
        published = self.settings(**recipe)
        own = self.run(encoder, toy, published)
        first, second = (stage.settings for stage in own.stages)
        assert (first.trainable, first.learning_rate, first.warmup) == ("last_block", 1e-4, 0.0)
        assert (second.trainable, second.learning_rate, second.schedule) == ("all", 1e-5, "linear")
        same = self.run(encoder, toy, dataclasses.replace(published, arm="prefinetune"))
        np.testing.assert_array_equal(own.logits["val"], same.logits["val"])


class HeadArmContract(ArmContract):
    """Laws of an arm that trains the head anew on vanilla's encoder."""

    def test_only_the_output_layer_differs_from_vanilla(self, encoder, toy):
        own = self.run(encoder, toy, self.settings(), keep_model=True).model.state_dict()
        vanilla = self.run(encoder, toy, self.settings(arm="vanilla"), keep_model=True).model.state_dict()
        different = {name for name, value in vanilla.items() if not value.equal(own[name])}
        assert different == {"classifier.weight", "classifier.bias"}


class TestCrt(HeadArmContract):
    arm = "crt"


class TestFeatureSmote(HeadArmContract):
    arm = "feature_smote"


class LinearArmContract:
    """Laws of an arm that trains no encoder: it has no stages, and only the rows decide."""

    arm = ""

    def run(self, encoder, toy, counts=(24, 12, 6), study_seed=1, **values):
        texts = ReplicateTexts(rows_of(toy, counts))
        settings = TrialSettings(arm=self.arm, **values)
        evaluation = {"val": toy[0].select(np.arange(30)), "test": toy[0].select([31, 30, 31])}
        return train_arm(settings, encoder, 3, texts, evaluation, ReplicateSeeds(study_seed, 0))

    def test_learns_a_separable_toy(self, encoder, toy):
        result = self.run(encoder, toy, (30, 25, 20))
        assert (result.logits["val"].argmax(1) == toy[1][:30]).mean() > 0.8
        assert (result.stages, result.reports) == ((), {})
        assert result.linear.rows == 75 and result.linear.cross_validated_f1 > 0.5

    def test_scores_every_set_in_its_order(self, encoder, toy):
        logits = self.run(encoder, toy).logits
        assert {name: found.shape for name, found in logits.items()} == {"val": (30, 3), "test": (3, 3)}
        np.testing.assert_array_equal(logits["test"][0], logits["test"][2])

    def test_one_row_beside_a_thousand(self, encoder, toy):
        assert np.isfinite(self.run(encoder, toy, (1000, 1, 1)).logits["val"]).all()

    def test_reads_no_setting_but_the_ratio(self, encoder, toy):
        assert settings_of(self.arm) == ("arm", "imbalance_ratio")
        assert not {*settings_of(self.arm)} & {*OTHER} and {*settings_of(self.arm)} < {*DECIDES_ROWS}
        first, other = (self.run(encoder, toy, **values).logits["val"] for values in ({}, OTHER))
        np.testing.assert_array_equal(first, other)

    @pytest.mark.parametrize("change", [{"precision": "bfloat16"}, {"layers": 1}])
    def test_works_with_another_way_to_compute(self, encoder, toy, change):
        found = self.run(dataclasses.replace(encoder, **change), toy).logits["val"]
        assert np.isfinite(found).all()
        assert np.array_equal(found, self.run(encoder, toy).logits["val"]) == (self.arm == "tfidf_lr")

    def test_works_on_another_architecture(self, distilbert, toy):
        assert np.isfinite(self.run(distilbert, toy).logits["val"]).all()


class TestTfidfLr(LinearArmContract):
    arm = "tfidf_lr"


class TestFrozenLr(LinearArmContract):
    arm = "frozen_lr"


def test_every_arm_has_a_line_and_a_contract():
    assert set(ARM_TABLE) == {*ARMS, POSTHOC_ARM}
    contracts = {
        value.arm for value in globals().values() if isinstance(value, type) and value.__name__[:4] == "Test"
    }
    assert contracts == set(ARMS)
    assert {name for name, arm in ARM_TABLE.items() if arm.stage1} == set(TWO_STAGE_ARMS)
    assert {name for name, arm in ARM_TABLE.items() if arm.head is not None} == set(HEAD_ARMS)
    assert set(LINEAR_ARMS) == {"tfidf_lr", "frozen_lr"}


def test_unknown_arms_name_the_known_ones():
    with pytest.raises(ConfigurationError, match="unknown arm 'vanila'; expected one of prefinetune, "):
        settings_of("vanila")


def test_settings_are_named_as_the_trials_are():
    assert settings_of(POSTHOC_ARM) == settings_of("vanilla")
    read = {name for arm in ARMS for name in settings_of(arm)}
    assert read == set(vars(TrialSettings()))
