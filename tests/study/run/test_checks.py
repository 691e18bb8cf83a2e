"""Faults that only the corpus can tell."""

import numpy as np
import pytest

from study.config.files import load_study_file
from study.config.operators import without_unavailable
from study.record.folder import StudyFolder
from study.run.checks import checked
from study.run.facts import part_facts
from trainables.corpora.drug_labels.sample import generate_sample
from trainables.corpora.imbalance import Profile
from trainables.draw_sizes import count_faults
from trainables.errors import ConfigurationError
from trainables.resplit import ResplitCorpus


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


def test_replicates_that_vary_the_split_can_all_give_n_max_and_rank_classes_alike(tmp_path):
    prepared, run = check(tmp_path, resplit=True, replicates=4, imbalance_ratios=(0.1, 0.5))
    assert isinstance(prepared, ResplitCorpus) and len(prepared.parts) == 4
    assert any("Every replicate has training and validation texts of its own" in r for r in prepared.remarks)
    assert sorted(run.profile.order) == list(range(5))
    assert count_faults(prepared, (0.1, 0.5), run.profile, run.n_max) == []
    facts = part_facts(prepared)
    for part, labels in (("train", "train_labels"), ("validation", "validation_labels")):
        rows = [np.bincount(getattr(prepared.of_replicate(r), labels), minlength=5) for r in range(4)]
        found = facts["part_ranges"][part]
        assert list(found.values()) == [[min(n), max(n)] for n in zip(*np.array(rows).tolist(), strict=True)]
    assert "test" in facts["parts"] and part_facts(prepared.of_replicate(0))["part_ranges"] == {}


def test_a_replicate_that_lacks_rows_is_named_before_anything_is_spent(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        check(tmp_path, resplit=True, replicates=4, imbalance_ratios=(0.5,), n_max=5000, profile="step")
    (fault,) = caught.value.faults
    assert "n_max is 5000" in fault and " in replicate " in fault
