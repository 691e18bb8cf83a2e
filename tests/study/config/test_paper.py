from __future__ import annotations

import pytest

from study.config import paper
from study.config.operators import unavailable_faults
from study.config.paper import FACT, with_paper_operator
from tests.study.simulation import small_config

SPACE = {"operator": ("aeda", "random_swap"), "strength": (0.1, 0.2)}


@pytest.fixture
def without(monkeypatch):
    """Return a function that makes operators unavailable."""

    def make(*names):
        monkeypatch.setattr(
            paper, "why_unavailable", lambda name, *_: f"{name} lacks its model." if name in names else None
        )

    return make


def test_it_back_translates_where_it_can(without):
    without()
    models = {"en-de": "a@1", "de-en": "b@1"}
    config = small_config(space=SPACE, operator_options={"back_translation": {"models": models}})
    assert with_paper_operator(config) == (config, "back_translation", ())


def test_another_engine_than_the_papers_is_said(without):
    without()
    config = small_config(space=SPACE)
    same, operator, (remark,) = with_paper_operator(config)
    assert (same, operator) == (config, "back_translation")
    assert "rule-based translator Apertium" in remark and "facebook/wmt19-en-de@COMMIT" in remark


@pytest.mark.parametrize(
    ("lacking", "chosen"),
    [(("back_translation",), "eda"), (("back_translation", "eda"), "aeda")],
)
def test_else_it_takes_eda_or_the_first_operator_of_the_space_and_says_so(without, lacking, chosen):
    without(*lacking)
    config, operator, remarks = with_paper_operator(small_config(space=SPACE, paper={"stage2_epochs": 2.0}))
    assert operator == chosen
    assert config.paper == {"strength": 0.1, "stage2_epochs": 2.0, "operator": chosen}
    (remark,) = remarks
    assert f"its operator is {chosen}: back_translation lacks its model." in remark


@pytest.mark.parametrize(("fixed", "chosen"), [({}, "embedding_neighbours"), ({"operator": "aeda"}, "aeda")])
def test_where_no_operator_is_searched_it_takes_that_of_all_trials(without, fixed, chosen):
    without("back_translation", "eda")
    config = small_config(space={"strength": (0.1, 0.2)}, first={}, fixed=fixed)
    assert with_paper_operator(config)[1] == chosen


def test_a_resumed_study_whose_operator_cannot_run_any_more_is_refused(without, monkeypatch):
    monkeypatch.setattr("study.config.operators.why_unavailable", lambda name, *_: f"{name} lacks its model.")
    without("back_translation")
    config, operator, _ = with_paper_operator(small_config(space=SPACE), {FACT: "back_translation"})
    assert operator == "back_translation"
    assert "paper names an operator that cannot run here" in " ".join(unavailable_faults(config))


def test_a_resumed_study_keeps_its_operator(without):
    without()
    config, operator, remarks = with_paper_operator(small_config(space=SPACE), {FACT: "eda"})
    assert operator == config.paper["operator"] == "eda"
    assert "--fresh" in remarks[0]


def test_an_operator_that_is_asked_for_is_never_exchanged(without):
    without("back_translation", "eda")
    config = small_config(space=SPACE, paper={"operator": "eda"})
    assert with_paper_operator(config) == (config, "eda", ())
