"""Faults that only the corpus can tell."""

import numpy as np
import pytest

from study.config.files import load_study_file
from study.config.operators import without_unavailable
from study.record.folder import StudyFolder
from study.run.checks import checked
from study.run.facts import JUDGED_ON, part_facts
from study.run.numerics import numerics_of
from trainables.corpora.drug_labels.sample import generate_sample
from trainables.corpora.imbalance import Profile
from trainables.draw_sizes import count_faults
from trainables.errors import ConfigurationError
from trainables.replicate import draw_rows
from trainables.resplit import ResplitCorpus


def check(tmp_path, **values):
    config, _ = without_unavailable(
        load_study_file("adme", "smoke", {"max_sample_rows": None, "confirmation_replicates": 0, **values}),
        None,
    )
    folder = StudyFolder(tmp_path, "adme")
    return checked(config, folder, generate_sample(600), None, resumes=False, store_faults=[])[:3]


def test_classes_that_the_corpus_lacks_are_named_with_the_nearest_name(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        check(tmp_path, class_order=("other", "absorbtion", "toxicology"))
    (fault,) = caught.value.faults
    assert "class_order names 'absorbtion', 'toxicology', which generated sample lacks" in fault
    assert "Did you mean 'absorption'?" in fault and "'other'" not in fault.partition(", which")[0]


def test_a_deployment_prior_of_other_classes_is_a_fault_before_anything_is_spent(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        check(tmp_path, deployment_prior={"absorption": 1, "toxicology": 2})
    lacking, unknown = caught.value.faults
    assert "lacks distribution, metabolism, excretion, other" in lacking and "names toxicology" in unknown


def test_the_order_of_classes_reaches_the_draws(tmp_path):
    prepared, _, run = check(
        tmp_path, class_order=("excretion", "other"), keep_short_classes=True, split_by="row", n_max=300
    )
    assert run.profile == Profile(
        "step", tuple(prepared.classes.index(name) for name in ("excretion", "other")), keep_short=True
    )
    assert any("THE SPLIT LEAKS" in remark for remark in prepared.remarks)
    assert any("'excretion'" in remark and "keep all of them" in remark for remark in prepared.remarks)


def test_replicates_that_vary_the_split_can_all_give_n_max_and_rank_classes_alike(tmp_path):
    prepared, _, run = check(tmp_path, resplit=True, replicates=4, imbalance_ratios=(0.1, 0.5))
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


@pytest.mark.parametrize(
    ("values", "is_said"),
    [
        ({}, True),
        ({"max_train_rows": 10_000}, True),
        ({"max_train_rows": 300}, False),
        ({"imbalance_ratios": (0.1,)}, False),
        ({"resplit": True}, False),
        ({"replicates": 1}, False),
    ],
)
def test_a_natural_ratio_without_a_bound_is_told_to_vary_seeds_alone(tmp_path, values, is_said):
    given = {"imbalance_ratios": ("natural", 0.1), "max_train_rows": None, **values}
    prepared, _, run = check(tmp_path, **given)
    said = [remark for remark in prepared.remarks if "every draw has the same" in remark]
    assert len(said) == is_said
    if "natural" in given["imbalance_ratios"] and not given.get("resplit"):
        draws = [draw_rows(prepared, run, "natural", replicate) for replicate in (0, 1)]
        assert ({*draws[0]} == {*draws[1]}) == (is_said or values == {"replicates": 1})


def test_a_replicate_that_lacks_rows_is_named_before_anything_is_spent(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        check(tmp_path, resplit=True, replicates=4, imbalance_ratios=(0.5,), n_max=5000, profile="step")
    (fault,) = caught.value.faults
    assert "n_max is 5000" in fault and " in replicate " in fault


@pytest.mark.parametrize("resplit", [False, True])
def test_a_confirmation_has_texts_of_its_own_and_nobody_else_sees_the_test_split(tmp_path, resplit):
    values = {"resplit": resplit, "replicates": 2, "imbalance_ratios": (0.1, 0.5), "screening_replicates": 1}
    prepared, texts, run = check(tmp_path, **values, confirmation_replicates=3)
    alone, _, alone_run = check(tmp_path, **values)
    views = [texts.of_replicate(replicate) for replicate in range(2 + 1 + 3)]
    assert [len(view.test_labels) > 0 for view in views] == [False] * 3 + [True] * 3
    assert [len(view.test_tokens.ids) > 0 for view in views] == [False] * 3 + [True] * 3
    assert len({tuple(sorted(view.train_texts)) for view in views[2:]}) == 4  # of the fresh ones
    # The search is what it would be without a confirmation.
    for replicate in range(2):
        one, other = texts.of_replicate(replicate), alone.of_replicate(replicate)
        assert list(one.train_texts) == list(other.train_texts)
        if not resplit:  # there n_max suits the fresh replicates too
            for ratio in (0.1, 0.5):
                drawn, also = (draw_rows(v, r, ratio, replicate) for v, r in ((one, run), (other, alone_run)))
                assert drawn.tolist() == also.tolist()
    for view in views[2:]:
        sizes = np.bincount(view.train_labels[draw_rows(view, run, 0.1, 3)], minlength=5)
        assert sizes.max() <= run.n_max and sizes.min() == round(0.1 * sizes.max())
    assert sum("of its own" in remark for remark in prepared.remarks) == 1


def test_more_replicates_leave_the_splits_of_the_others_as_they_are(tmp_path):
    few, many = (check(tmp_path, confirmation_replicates=n)[1] for n in (2, 4))
    for replicate in range(5):
        assert list(few.of_replicate(replicate).train_texts) == list(many.of_replicate(replicate).train_texts)
    with pytest.raises(IndexError):
        few.of_replicate(5)


def test_exact_counts_that_a_fresh_replicate_cannot_give_are_a_fault(tmp_path):
    _, _, run = check(tmp_path, imbalance_ratios=(0.1,))
    with pytest.raises(ConfigurationError, match="in replicate"):
        check(tmp_path, imbalance_ratios=(0.1,), n_max=run.n_max, confirmation_replicates=12)


def test_a_study_that_began_with_duplicates_judged_on_whole_texts_goes_on_so(tmp_path):
    config, _ = without_unavailable(load_study_file("adme", "smoke", {"max_sample_rows": None}), None)
    folder, corpus = StudyFolder(tmp_path, "adme"), generate_sample(600)

    def launch(resumes):
        prepared, _, run, _ = checked(config, folder, corpus, None, resumes=resumes, store_faults=[])
        facts = {
            "config": config.identity(),
            "corpus": {"digest": corpus.digest, "source": corpus.source},
            "numerics": numerics_of(config, None, run.encoder),
            **part_facts(prepared),
        }
        folder.write_facts(facts)
        return facts

    new = launch(resumes=True)
    assert new[JUDGED_ON] == launch(resumes=True)[JUDGED_ON] == "tokens"
    folder.write_facts({name: value for name, value in new.items() if name != JUDGED_ON})
    assert launch(resumes=True)[JUDGED_ON] == launch(resumes=True)[JUDGED_ON] == "texts"
    assert launch(resumes=False)[JUDGED_ON] == "tokens"
