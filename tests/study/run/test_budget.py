"""A study that is given its time: what is chosen, what stays as it was asked for, and what a later launch follows."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from study.command.launch_arguments import build_parser, read_overrides
from study.config.files import read_study_file
from study.run import budget
from study.run.cluster import TrialResources
from study.run.speed import Speed
from tests.study.run.test_preflight import prepared, run
from tests.study.simulation import small_config
from trainables.errors import ConfigurationError
from trainables.settings import EncoderSettings

RESOURCES = TrialResources(workers=1, cpus=1, gpus=0, concurrency=2)
BESIDE = budget.StartAndEnd(before=20.0, libraries=5.0)
SPEED = Speed(0.02, 0.005, replicate=0.1, fitted_row={"tfidf": 0.002, "frozen": 0.002})
CONFIG = small_config(
    imbalance_ratios=("natural", 0.1),
    max_train_rows=150,
    trials=8,
    replicates=3,
    finalists=2,
    screening_replicates=2,
    confirmation_replicates=10,
)


def sized(minutes, given=(), speed=SPEED, **changes):
    config = replace(CONFIG, minutes=minutes, **changes)
    texts = prepared()
    return budget.sized(config, given, texts, run(EncoderSettings()), RESOURCES, speed, BESIDE, False)


def scaled(factor):
    return replace(SPEED, trained_row=SPEED.trained_row * factor, scored_row=SPEED.scored_row * factor)


def test_the_preset_is_cut_to_what_fits_and_the_confirmation_keeps_its_pairs():
    for minutes in (4.0, 6.0, 8.0):
        found = sized(minutes)
        assert found.config.confirmation_replicates >= budget.fewest_pairs(found.config) >= 7
        assert "Cut against the preset" in found.sentence and "Chosen to end in" in found.sentence
    assert sized(1e4).config.trials > CONFIG.trials, "time buys more than the preset asks for"


def test_more_minutes_and_faster_machines_get_no_less():
    def order(config):
        return len(config.imbalance_ratios), config.max_train_rows, config.confirmation_replicates

    by_time = [order(sized(minutes).config) for minutes in (4.0, 6.0, 9.0, 13.0, 20.0, 60.0)]
    assert [found[0] for found in by_time] == sorted(found[0] for found in by_time)
    assert order(sized(10.0, speed=scaled(0.5)).config) >= order(sized(10.0).config)


def test_what_is_asked_for_stays():
    given = {"minutes", "trials", "confirmation_replicates", "imbalance_ratios"}
    found = sized(1e3, given, trials=5, confirmation_replicates=6).config
    assert (found.trials, found.confirmation_replicates) == (5, 6)
    assert found.imbalance_ratios == CONFIG.imbalance_ratios
    assert sized(6.0, {"max_train_rows"}).config.max_train_rows == CONFIG.max_train_rows
    assert sized(1e3, (), confirmation_replicates=0).config.confirmation_replicates == 0


def test_a_budget_that_holds_nothing_useful_is_refused_with_the_smallest_that_would():
    with pytest.raises(ConfigurationError) as refused:
        sized(1.0)
    message = str(refused.value)
    assert "A budget of 60 s holds nothing useful on this machine" in message
    smallest = float(message.partition("--minutes ")[2].split()[0])
    assert sized(smallest).config.confirmation_replicates >= 7
    assert sized(smallest, speed=scaled(1.15)), "also where the machine is a little slower the next time"


def test_a_later_launch_follows_what_was_chosen_wherever_it_runs():
    first = sized(6.0)
    facts = {"time": budget.time_facts(first.config, None, first, 300.0, SPEED, BESIDE)}
    known = json.loads(json.dumps(facts))
    again = budget.with_recorded_sizes(replace(CONFIG, minutes=6.0), known, {"minutes"})
    assert again.identity() == first.config.identity() and again == first.config
    more = budget.with_recorded_sizes(replace(CONFIG, trials=40), known, {"trials"})
    assert more.trials == 40 and more.identity() == first.config.identity()
    kept = budget.time_facts(again, known, None, 999.0, SPEED, BESIDE)
    assert kept["planned_s"] == 300.0, "what was planned when it began"


def test_minutes_for_a_study_that_has_begun_are_said_to_be_a_deadline_only():
    first = sized(6.0)
    known = {"time": budget.time_facts(first.config, None, first, 300.0, SPEED, BESIDE)}
    later = replace(first.config, minutes=30.0)
    known = json.loads(json.dumps({"time": budget.time_facts(later, known, None, 300.0, SPEED, BESIDE)}))
    assert budget.deadline_sentence(later, known, {"minutes"}) == (
        "Budget: 30 min is a deadline only here: the study keeps the sizes with which it began (chosen for 6.0 min). "
        "--fresh sizes it anew."
    )
    assert "(its preset or the command line gave them)" in budget.deadline_sentence(later, {}, {"minutes"})
    for unsaid in ((first.config, known, {"minutes"}), (later, known, ()), (later, None, {"minutes"})):
        assert budget.deadline_sentence(*unsaid) == ""


def test_the_minutes_of_a_study_that_an_earlier_version_sized_are_no_deadline_only():
    first = sized(6.0)
    time = budget.time_facts(first.config, None, first, 300.0, SPEED, BESIDE)
    known = {"time": {name: value for name, value in time.items() if name != "sized_for_s"}}
    assert known["time"].keys() < time.keys()
    assert budget.deadline_sentence(first.config, known, {"minutes"}) == ""
    later = replace(first.config, minutes=30.0)
    assert "30 min is a deadline only here: the study keeps the sizes with which it began (chosen)" in (
        budget.deadline_sentence(later, known, {"minutes"})
    )


def test_a_study_that_began_before_its_preset_had_a_budget_goes_on_without_one():
    config = replace(CONFIG, minutes=10.0)
    assert budget.with_recorded_sizes(config, {"config": {}}, ()).minutes is None
    assert budget.with_recorded_sizes(config, {"config": {}}, {"minutes"}).minutes == 10.0
    assert budget.with_recorded_sizes(config, None, ()) == config


@pytest.mark.parametrize(
    ("arguments", "minutes"),
    [
        ([], 10.0),
        (["--minutes", "30"], 30.0),
        (["--hours", "8"], 480.0),
        (["--trials", "4"], None),
        (["--set", "max_train_rows=400"], None),
        (["--trials", "4", "--minutes", "30"], 30.0),
        (["--seed", "3"], 10.0),
    ],
)
def test_adme_takes_ten_minutes_unless_something_else_is_asked_for(arguments, minutes):
    overrides, faults = read_overrides(build_parser().parse_args(["adme", *arguments]))
    assert faults == []
    assert read_study_file("adme", "laptop", overrides)[0].minutes == minutes
    assert read_study_file("adme", "cluster", {})[0].minutes is None


def test_minutes_and_hours_together_are_a_fault():
    _, faults = read_overrides(build_parser().parse_args(["adme", "--minutes", "3", "--hours", "1"]))
    assert faults == ["--minutes and --hours were both given: one of them was expected."]
