from types import SimpleNamespace

import pytest

from study.config.study import StudyConfig
from study.run.paraphrase_cost import paraphrase_sentence

PREPARED = SimpleNamespace(train_texts=["ten words " * 5] * 4)


def config(**values):
    return StudyConfig(name="n", preset="smoke", corpus="none", replicates=3, **values)


@pytest.mark.parametrize(
    ("values", "calls"),
    [
        ({"space": {"operator": ("paraphrase", "eda"), "strength": (0.1, 0.3), "copies": (1, 2)}}, "3,600"),
        ({"fixed": {"operator": "paraphrase", "copies": 4}}, "3,600"),
        ({"fixed": {"operator": "paraphrase"}}, "900"),
    ],
)
def test_calls_are_strengths_times_copies_times_rows_times_replicates(values, calls):
    said = paraphrase_sentence(config(**values), PREPARED, [100, 200])
    assert f"up to {calls} calls" in said
    written = int(calls.replace(",", "")) * 14
    assert f"and {written:,} written" in said


def test_nothing_is_said_of_a_study_without_paraphrases():
    assert paraphrase_sentence(config(), PREPARED, [100]) is None
    assert paraphrase_sentence(config(space={"operator": ("eda",)}), PREPARED, [100]) is None
