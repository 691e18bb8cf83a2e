"""Faults that only the corpus can tell."""

import pytest

from study.config.files import load_study_file
from study.config.operators import without_unavailable
from study.record.folder import StudyFolder
from study.run.checks import checked
from trainables.corpora.drug_labels.sample import generate_sample
from trainables.corpora.imbalance import Profile
from trainables.errors import ConfigurationError


def check(tmp_path, **values):
    config, _ = without_unavailable(
        load_study_file("adme", "smoke", {"max_sample_rows": None, **values}), None
    )
    folder = StudyFolder(tmp_path, "adme")
    return checked(config, folder, generate_sample(600), None, resumes=False, store_faults=[])


def test_classes_that_the_corpus_lacks_are_named_with_the_nearest_name(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        check(tmp_path, class_order=("other", "absorbtion", "toxicology"))
    (fault,) = caught.value.faults
    assert "class_order names 'absorbtion', 'toxicology', which generated sample lacks" in fault
    assert "Did you mean 'absorption'?" in fault and "'other'" not in fault.partition(", which")[0]


def test_the_order_of_classes_reaches_the_draws(tmp_path):
    prepared, run = check(
        tmp_path, class_order=("excretion", "other"), keep_short_classes=True, split_by="row", n_max=300
    )
    assert run.profile == Profile(
        "step", tuple(prepared.classes.index(name) for name in ("excretion", "other")), keep_short=True
    )
    assert any("THE SPLIT LEAKS" in remark for remark in prepared.remarks)
    assert any("'excretion'" in remark and "keep all of them" in remark for remark in prepared.remarks)
