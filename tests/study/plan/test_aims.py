"""What a search pursues: gain, score, or gain and training time; in any metric; and Optuna's own plots of it."""

from __future__ import annotations

import json

import matplotlib
import optuna
import pytest
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.visualization import matplotlib as plots

from study.command.launch_arguments import build_parser, read_overrides
from study.config.aims import metric_faults
from study.config.faults import study_faults
from study.plan.warm_start import earlier_trials
from study.record.gains import gains_of, leading_prefinetuning, mean_of
from study.statistics.pareto import pareto_front
from tests.study import simulation
from tests.study.simulation import run_to_the_end, score, small_config

ONE_RATIO = {"imbalance_ratios": (0.1,), "trials": 10}


def stored(folder, name="toy"):
    return optuna.load_study(study_name=name, storage=f"sqlite:///{folder / 'optuna.db'}")


def overrides(*argv):
    return read_overrides(build_parser().parse_args(["adme", *argv]))


def test_the_samplers_learn_the_score_where_it_is_pursued_and_the_leading_trial_is_still_that_of_gain(
    tmp_path,
):
    study = run_to_the_end(tmp_path, small_config(**ONE_RATIO, aim="score"), stores_optuna=True)
    by_id = {trial.user_attrs["trial_id"]: trial for trial in stored(tmp_path).trials}
    for trial in study.ledger.of_phase("search"):
        assert by_id[trial.trial_id].value == pytest.approx(mean_of(trial.values("val/macro_f1")))
        gains = gains_of(study.ledger, trial, "val/macro_f1")
        assert list(by_id[trial.trial_id].intermediate_values.values()) == pytest.approx(list(gains.values()))
    assert stored(tmp_path).metric_names == ["val/macro_f1"]
    assert leading_prefinetuning(study.ledger, 0.1, "val/macro_f1").state == "complete"


@pytest.mark.parametrize("sampler", ["tpe", "random", "gp", "nsga-ii"])
def test_gain_and_training_time_are_pursued_together(tmp_path, sampler):
    config = small_config(**ONE_RATIO, aim="pareto", sampler=sampler)
    study = run_to_the_end(tmp_path, config, stores_optuna=True)
    found = stored(tmp_path)
    assert [way.name for way in found.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert found.metric_names == ["gain in val/macro_f1", "training seconds of a replicate"]
    by_id = {trial.user_attrs["trial_id"]: trial for trial in found.trials}
    points = {}
    for trial in study.ledger.of_phase("search"):
        gain = mean_of(gains_of(study.ledger, trial, "val/macro_f1"))
        assert by_id[trial.trial_id].values == pytest.approx([gain, trial.training_seconds])
        if trial.state == "complete":
            points[trial.trial_id] = (gain, trial.training_seconds)
    # Optuna's front is ours: that of the complete trials.
    front = {trial.user_attrs["trial_id"] for trial in found.best_trials}
    assert front == pareto_front(points, (1, -1)) and front <= points.keys()


def test_an_error_is_minimised_by_the_sampler_the_races_and_the_choice(tmp_path, monkeypatch):
    """The simulation's score taken for an error: the worst configuration of the others is the best of these."""
    monkeypatch.setattr(simulation, "METRIC", "val/nll")
    monkeypatch.setattr(simulation, "score", lambda settings, replicate: 2.0 - score(settings, replicate))
    config = small_config(
        **ONE_RATIO, objective="val/nll", finalists=2, screening_replicates=1, confirmation_replicates=2
    )
    study = run_to_the_end(tmp_path, config, stores_optuna=True)
    assert stored(tmp_path).direction.name == "MINIMIZE"
    best = leading_prefinetuning(study.ledger, 0.1, "val/nll")
    assert (best.config["strength"], best.config["stage2_learning_rate"]) == (0.2, 1e-4)
    raced_out = [t for t in study.ledger.of_phase("search") if t.state == "raced_out"]
    complete = [t for t in study.ledger.of_phase("search") if t.state == "complete"]
    worst = max(trial.values("val/nll")[0] for trial in complete)
    assert raced_out and max(trial.values("val/nll")[0] for trial in raced_out) > worst
    winner = next(t for t in study.ledger.of_phase("confirmation") if t.arm == "prefinetune")
    assert winner.config["strength"] == 0.2


def test_a_warm_start_tells_what_this_study_pursues(tmp_path):
    config = small_config(trials=8)
    run_to_the_end(tmp_path / "earlier", config)
    facts = {"config": config.identity(), "corpus": {"digest": "d"}}
    (tmp_path / "earlier" / "study.json").write_text(json.dumps(facts))
    said = []
    warm = small_config(
        warm_start=str(tmp_path / "earlier"), aim="pareto", max_seconds_per_trial=17.0, sampler="gp"
    )
    found = [t for t in earlier_trials(warm, "d", said.append) if t.key[0] == "prefinetune"]
    assert "differs" not in said[0] and len(found) == 8
    for trial in found:
        seconds = 10 + 5 * trial.config["stage1_epochs"]
        assert trial.learnt[1] == seconds and list(trial.constraints.values()) == [seconds - 17]
    search = simulation.GainSearch(warm, earlier=found)
    for _ in range(2):
        assert set(search.propose(("prefinetune", 0.1), {})) == set(warm.space)


@pytest.fixture
def drawn():
    matplotlib.use("Agg")
    yield
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize("aim", ["gain", "pareto"])
def test_optunas_own_importances_and_plots_come_out_of_a_studys_storage(tmp_path, drawn, aim):
    config = small_config(**ONE_RATIO, aim=aim, max_seconds_per_trial=100.0)
    run_to_the_end(tmp_path, config, stores_optuna=True)
    found, first = stored(tmp_path), (lambda trial: trial.values[0])
    target = None if aim == "gain" else first
    shares = get_param_importances(found, target=target, evaluator=FanovaImportanceEvaluator(seed=0))
    assert set(shares) == {*config.space, "imbalance_ratio"} and sum(shares.values()) == pytest.approx(1.0)
    named = {} if target is None else {"target": target, "target_name": "gain"}
    assert plots.plot_param_importances(found, **named).patches
    assert plots.plot_optimization_history(found, **named).collections
    assert plots.plot_parallel_coordinate(found, **named).has_data()
    if aim == "pareto":
        axes = plots.plot_pareto_front(found)
        assert (axes.get_xlabel(), axes.get_ylabel()) == tuple(found.metric_names) and axes.has_data()


@pytest.mark.parametrize(
    ("argv", "values"),
    [
        (["score"], {"aim": "score"}),
        (["val/mcc"], {"objective": "val/mcc"}),
        (["pareto", "val/recall/a b"], {"aim": "pareto", "objective": "val/recall/a b"}),
    ],
)
def test_an_aim_and_a_metric_are_given_by_one_option(argv, values):
    assert overrides("--objective", *argv, "--max-seconds-per-trial", "9") == (
        {**values, "max_seconds_per_trial": 9.0},
        [],
    )


def test_two_aims_are_a_fault_and_unknown_ones_are_told_with_what_is_near():
    assert "one aim and one metric" in overrides("--objective", "gain", "score")[1][0]
    faults = study_faults(small_config(aim="parreto", objective="val/micro_f1", max_seconds_per_trial=-1))
    assert [fault.partition(":")[0] for fault in faults] == [
        "objective is 'val/micro_f1'",
        "aim is 'parreto'",
        "max_seconds_per_trial is -1",
    ]
    assert "Did you mean 'pareto'?" in faults[1] and "val/nll, val_offsets/macro_f1" in faults[0]
    ordered = small_config(aim="pareto", sampler="cma-es", reference_space={})
    assert any("pursues one thing at a time" in fault for fault in study_faults(ordered))


def test_a_metric_of_one_class_is_checked_against_the_corpus():
    assert not study_faults(small_config(objective="val/recall/absorbtion"))
    (fault,) = metric_faults("val/recall/absorbtion", ("absorption", "other"))
    assert fault.endswith("Did you mean 'val/recall/absorption'?") and "val/recall/other" in fault
    assert not metric_faults("val/recall/other", ("absorption", "other"))
    assert not metric_faults("val/mcc", ("absorption",))


def test_a_metric_with_class_offsets_may_be_pursued_where_it_hangs_on_decisions():
    for metric in ("val_offsets/macro_f1", "val_offsets/recall/other"):
        assert not study_faults(small_config(objective=metric))
    assert not metric_faults("val_offsets/f1/other", ("absorption", "other"))
    assert "val_offsets/f1/other" in metric_faults("val_offsets/f1/othr", ("absorption", "other"))[0]
    for unlogged in ("val_offsets/nll", "val_offsets/precision/other", "test_offsets/macro_f1"):
        assert study_faults(small_config(objective=unlogged))


def test_older_studies_keep_their_identity():
    assert not {"aim", "max_seconds_per_trial"} & small_config().identity().keys()
    assert small_config(aim="score").identity()["aim"] == "score"
