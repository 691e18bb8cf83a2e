"""Figures of kept scores: they show what scikit-learn computes, and draw the same again."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import average_precision_score, confusion_matrix, precision_recall_curve

from study.verdict.confusion import MOST_CLASSES, confusion, confusion_figure, merged, most_confused
from study.verdict.curves import GRID, curve, curve_figure, precision_recall
from study.verdict.reliability import reliability, reliability_figure
from study.verdict.svg import LIGHT, shortened, standalone
from tests.study.verdict.made_up_scores import LABELS, made_up_run, made_up_runs
from trainables.metrics import evaluate

CLASSES = ["a", "b", "c", "d"]
HOSTILE = '<script>alert("x")</script> & ]]>'


def probabilities(run):
    return softmax(run.test.astype(np.float64), axis=1)


@pytest.mark.parametrize("label", range(4))
def test_average_precision_is_scikit_learns(label):
    runs = made_up_runs(1.0, 3)
    found = curve(runs, label)
    expected = [average_precision_score(label == LABELS, probabilities(run)[:, label]) for run in runs]
    assert list(found.average_precision.values()) == pytest.approx(expected)
    assert found.precision.mean() == pytest.approx(np.mean(expected), abs=0.02)
    assert len(found.precision) == len(GRID)


def test_intervals_of_few_replicates_keep_to_what_average_precision_can_be():
    weak = [made_up_run(0.1, 1), made_up_run(3.0, 2)]
    strong = [made_up_run(3.0, 3), made_up_run(0.1, 4)]
    low, high = curve(weak, 1).mean.ci_low, curve(strong, 1).mean.ci_high
    assert (low is None or low >= 0.0) and (high is None or high <= 1.0)
    drawn = curve_figure("c", "a", 1, weak, strong)
    bounds = re.findall(r"\[([+−][\d.]+), ([+−][\d.]+)\]", drawn)
    assert all(abs(float(end.replace("−", "-"))) <= 1.0 for pair in bounds for end in pair)


def test_thresholds_are_scikit_learns_with_equal_scores_too():
    scores = np.round(np.random.default_rng(0).random(50), 1)
    truth = np.random.default_rng(1).random(50) < 0.3
    recall, precision = precision_recall(scores, truth)
    theirs_precision, theirs_recall, _ = precision_recall_curve(truth, scores)
    # Theirs begins with the lowest threshold, and ends with a point at recall 0 that no threshold has.
    assert recall[::-1] == pytest.approx(theirs_recall[:-1])
    assert precision[::-1] == pytest.approx(theirs_precision[:-1])


def test_a_perfect_model_has_a_curve_along_the_top_and_errs_nowhere():
    runs = made_up_runs(60.0, 2)
    assert curve(runs, 1).precision.min() == 1.0
    matrix = confusion(runs, 4)
    assert np.array_equal(matrix, np.diag(np.bincount(LABELS)))
    assert "Nothing is confused." in confusion_figure("m", "vanilla", matrix, CLASSES)


def test_the_matrix_is_the_mean_over_runs():
    runs = made_up_runs(1.0, 3)
    expected = [confusion_matrix(LABELS, run.test.argmax(axis=1)) for run in runs]
    assert confusion(runs, 4) == pytest.approx(np.mean(expected, axis=0))


def test_of_many_classes_those_with_the_most_errors_are_shown_and_no_text_is_lost():
    n = MOST_CLASSES + 15
    matrix = np.diag(np.full(n, 50.0))
    matrix[3, 20], matrix[7, 3] = 9.0, 8.0
    shown = most_confused([matrix, matrix])
    assert {3, 7, 20} <= set(shown) and len(shown) == MOST_CLASSES - 1
    small = merged(matrix, shown)
    assert small.shape == (MOST_CLASSES, MOST_CLASSES) and small.sum() == matrix.sum()
    assert small[shown.index(3), shown.index(20)] == 9.0
    few = np.eye(4)
    assert merged(few, most_confused([few])) is few


def test_the_calibration_error_is_that_of_the_metrics():
    runs = made_up_runs(1.0, 4)
    found = reliability(runs)
    expected = [evaluate(run.test, LABELS, CLASSES)["ece"] for run in runs]
    assert found.error.mean == pytest.approx(np.mean(expected))
    assert found.share.sum() == pytest.approx(1.0)
    right = np.mean([run.test.argmax(axis=1) == LABELS for run in runs])
    assert np.nansum(found.accuracy * found.share) == pytest.approx(right)


def figures(title="title"):
    vanilla, winner = made_up_runs(0.8), made_up_runs(1.5)
    names = [title, *CLASSES[1:]]
    return [
        curve_figure("curve", title, 0, vanilla, winner),
        reliability_figure("reliability", title, winner, is_vanilla=False),
        reliability_figure("of-vanilla", title, vanilla, is_vanilla=True),
        confusion_figure("confusion", title, confusion(vanilla, 4), names),
    ]


def test_every_figure_is_well_formed_described_follows_the_page_and_is_drawn_the_same_again():
    for figure, again in zip(figures(), figures(), strict=True):
        assert figure == again
        root = ElementTree.fromstring(figure)
        assert root.get("role") == "img" and [child.tag.rpartition("}")[2] for child in root][:2] == [
            "title",
            "desc",
        ]
        assert "var(--" in figure and not re.search(r"#[0-9a-f]{6}", figure)
        assert "nan" not in figure


def test_nothing_of_the_user_becomes_markup():
    for figure in figures(HOSTILE):
        ElementTree.fromstring(figure)
        assert "<script" not in figure


def test_arms_differ_without_colour():
    drawn = figures()
    assert "stroke-dasharray: 5 3" in drawn[0] and "stroke-width: 2.2" in drawn[0]
    assert "stroke-dasharray: 5 3" in drawn[2] and "stroke-dasharray: 5 3" not in drawn[1]


def test_one_run_has_figures_without_intervals():
    run = [made_up_run(1.0, 0)]
    for figure in (curve_figure("c", "a", 0, run, run), reliability_figure("r", "a", run, is_vanilla=False)):
        ElementTree.fromstring(figure)
        assert "n=1" not in figure.partition("</desc>")[2]


def test_a_file_of_its_own_has_plain_colours_and_its_note_below_the_drawing():
    figure = figures()[0]
    file = standalone(figure, "generated <sample>")
    root = ElementTree.fromstring(file)
    assert "var(" not in file and LIGHT["series-0"] in file
    before, after = (float(ElementTree.fromstring(x).get("viewBox").split()[3]) for x in (figure, file))
    note = root[-1]
    assert note.text == "generated <sample>" and before < float(note.get("y")) < after
    assert float(root.get("height")) == after
    assert standalone(figure).count("<text") == file.count("<text") - 1


def test_long_names_are_cut_where_there_is_no_room():
    assert shortened("x" * 40, 10) == "x" * 9 + "…" and shortened("short", 10) == "short"
