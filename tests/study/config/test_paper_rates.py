"""What is said of the learning rates of the paper's arm."""

from __future__ import annotations

import pytest

from study.config.files import load_study_file
from study.config.paper import with_paper_operator

PUBLISHED = {"stage1_learning_rate": 1e-4, "stage2_learning_rate": 1e-5}


def remarks(paper, preset="laptop"):
    return " ".join(with_paper_operator(load_study_file("adme", preset, {"paper": paper}))[2])


def test_other_rates_than_the_papers_are_told():
    assert "0.001 in stage 1 (published: 0.0001)" in remarks({})
    assert "learning rates" not in remarks(PUBLISHED)


def test_on_a_cluster_they_are_the_papers():
    assert not load_study_file("adme", "cluster", {}).paper
    assert "learning rates" not in remarks({}, "cluster")


@pytest.mark.parametrize("wrong", ["high", None, [1e-3]])
def test_a_rate_that_is_no_number_is_left_to_the_checks(wrong):
    assert "learning rates" not in remarks({**PUBLISHED, "stage1_learning_rate": wrong})
