"""An arm that trains the masked-language head needs an encoder that has one."""

from __future__ import annotations

from study.config.arms import ALL_CONTROLS
from study.config.masked_lm import headless_faults, without_masked_lm_arms
from study.run.first_checks import first_checks
from tests.study.simulation import small_config
from tests.trainables.augment.tiny_masked_lm import write_masked_lm
from trainables.errors import ConfigurationError


def checked(tmp_path, arms, encoder="minilm"):
    """Return the faults of the first checks of a study."""
    config = small_config(arms=arms, encoder=encoder, corpus="adme", data="sample")
    try:
        first_checks(config, str(tmp_path / "storage"), None, [])
    except ConfigurationError as error:
        return error.faults
    return []


def test_an_arm_asked_for_by_name_is_a_fault_that_says_what_to_do(tmp_path):
    (fault,) = checked(tmp_path, ("tapt",))
    assert fault.startswith(
        "encoder 'minilm' has no masked-language head, which tapt trains: choose an encoder"
    )
    assert "--encoder google-bert/bert-base-uncased@86b5e09" in fault and "leave tapt out" in fault
    assert checked(tmp_path, ("focal",)) == []


def test_of_all_controls_it_is_left_out_with_a_remark(tmp_path):
    assert checked(tmp_path, ALL_CONTROLS) == []
    config = small_config(arms=(*ALL_CONTROLS, "vanilla_tuned"), encoder="minilm")
    left, (remark,) = without_masked_lm_arms(config)
    assert set(config.arms) - set(left.arms) == {"tapt"}
    assert "tapt is left out: encoder 'minilm' has no masked-language head" in remark
    assert headless_faults(left) == headless_faults(config) == []


def test_with_an_encoder_that_has_the_head_nothing_is_left_out(tmp_path):
    folder = write_masked_lm(tmp_path / "encoder")
    for arms in (("tapt",), ALL_CONTROLS):
        assert checked(tmp_path, arms, str(folder)) == []
        config = small_config(arms=arms, encoder=str(folder))
        assert without_masked_lm_arms(config) == (config, ())
