"""A confirmed study leaves two models that label texts, whatever its MLflow does."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import log_softmax

from study import predict
from study.command.conduct import _champion
from study.command.take_home import Confirmed, calibration_of, leave_models
from study.record.folder import StudyFolder
from study.record.ledger import Ledger
from study.tracking.tracker import Tracker
from study.tracking.uri import open_client
from tests.study.tracked import launch, replicate
from trainables.corpora.drug_labels.sample import generate_sample
from trainables.errors import ConfigurationError
from trainables.prepared import RunSettings, prepare
from trainables.scores import RunScores, scores_path
from trainables.settings import EncoderSettings, TrialSettings

WINNER = TrialSettings(operator="random_delete", strength=0.3, stage1_epochs=0.2, stage2_epochs=0.5)
VANILLA = TrialSettings(arm="vanilla", stage2_epochs=0.5)
WORDS = "Pre-finetuning is better than vanilla."


@pytest.fixture(scope="module")
def encoder(encoder):
    return EncoderSettings(name=str(encoder), max_length=32, precision="float32", device="cpu")


@pytest.fixture(scope="module")
def prepared(encoder):
    return prepare(generate_sample(400), encoder, study_seed=0, max_validation_rows=60)


@pytest.fixture
def study(tmp_path, make_study, uri, prepared, encoder):
    """A study whose confirmation is done: its folder, facts, runs and confirmed trials."""
    make_study()
    folder = StudyFolder(tmp_path, "adme")
    facts = json.loads(folder.facts.read_text())
    facts |= {"study_id": "one", "command": ["python", "-m", "study.launch", "adme"]}
    facts["mlflow"]["tracking_uri"] = uri
    facts["corpus"]["notice"] = "Made-up texts."
    facts["config"]["corpus"] = "adme"
    folder.write_facts(facts)
    run = RunSettings(
        study_seed=0, encoder=encoder, profile="step", n_max=20, max_train_rows=None,
        cache_dir=str(folder.cache), scores_dir=str(folder.scores),
    )  # fmt: skip
    ledger = Ledger(tmp_path / "confirmed.jsonl")
    rng = np.random.default_rng(0)
    for trial_id, settings in (("w", WINNER), ("v", VANILLA)):
        ledger.start_trial(trial_id, "confirmation", settings.arm, "natural", settings.to_config())
        for index in (7, 8):
            ledger.add_replicate(trial_id, replicate(index, 0.5))
            truth = np.eye(5)[prepared.validation_labels]
            logits = (4 * truth + 3 * rng.standard_normal(truth.shape)).astype(np.float32)
            nothing = np.empty(0, np.int64)
            RunScores(
                logits, prepared.validation_labels, logits[:0], nothing, nothing, nothing, np.zeros(5),
                np.ones(5, int), np.arange(5),
            ).save(scores_path(folder.scores, trial_id, index))  # fmt: skip
    Tracker(uri, launch(artifacts=tmp_path / "artifacts"), ledger).close()
    confirmed = {
        "winner": Confirmed(ledger.trials["w"], WORDS, "+.030 [.010, .050]"),
        "vanilla": Confirmed(ledger.trials["v"], WORDS),
    }
    return folder, facts, run, confirmed


def test_both_models_are_left_once_registered_and_label_texts(study, prepared, capsys):
    folder, facts, run, confirmed = study
    said = []
    leave_models(folder, facts, prepared, run, confirmed, said.append)
    assert "winner" in said[0] and "models:/adme@champion (version 1)" in said[1]
    assert "models:/adme@vanilla (version 2)" in said[3] and folder.read_champion() == "winner"
    for which in confirmed:
        card = (folder.model(which) / "README.md").read_text()
        assert WORDS in card and "Made-up texts." in card and "python -m study.launch adme" in card
    again = []
    leave_models(folder, facts, prepared, run, confirmed, again.append)
    assert again == [said[1], said[3]]  # nothing was made or registered again
    assert len(open_client(facts["mlflow"]["tracking_uri"]).search_model_versions("name = 'adme'")) == 2

    new = folder.storage / "new.txt"
    new.write_text("Velorin is absorbed slowly.\nIt is excreted in urine.\n")
    for which in confirmed:
        arguments = ["adme", "--storage", str(folder.storage), "--input", str(new), "--model", which]
        assert predict.main(arguments) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [sum(row["probabilities"].values()) for row in rows] == pytest.approx([1, 1], abs=1e-5)


def test_where_the_winner_is_worse_vanilla_is_the_champion_and_labels_unless_asked(study, prepared, capsys):
    folder, facts, run, confirmed = study
    leave_models(folder, facts, prepared, run, confirmed, str)
    client = open_client(facts["mlflow"]["tracking_uri"])

    def arm(alias):
        return client.get_model_version_by_alias("adme", alias).tags["arm"]

    def labels(*options):
        new = folder.storage / "new.txt"
        new.write_text("Velorin is absorbed slowly.\n")
        assert predict.main(["adme", "--storage", str(folder.storage), "--input", str(new), *options]) == 0
        out, err = capsys.readouterr()
        return out, "The labels are vanilla's" in err

    assert arm("champion") == arm("winner") == "prefinetune"
    winners = labels("--model", "winner")
    assert labels() == winners and not winners[1]
    said = []
    leave_models(folder, facts, prepared, run, confirmed, said.append, champion="vanilla")
    assert (arm("champion"), arm("vanilla"), arm("winner")) == ("vanilla", "vanilla", "prefinetune")
    assert "models:/adme@winner (version 1)" in said[0] and "models:/adme@champion (version 2)" in said[1]
    assert labels() == (labels("--model", "vanilla")[0], True) and labels("--model", "winner") == winners


@pytest.mark.parametrize("verdict", ["better", "worse", "equivalent", "not shown"])
def test_the_champion_is_the_winner_unless_it_is_worse(verdict):
    said = []
    found = SimpleNamespace(verdict=SimpleNamespace(verdict=verdict))
    assert _champion(found, said.append) == ("vanilla" if verdict == "worse" else "winner")
    assert bool(said) == (verdict == "worse")


def test_the_calibration_is_of_all_replicates_and_for_the_prior_that_was_asked_for(study, prepared):
    folder, _, _, confirmed = study
    natural = np.bincount(prepared.validation_labels) / len(prepared.validation_labels)
    trial = confirmed["vanilla"].trial
    found = calibration_of(trial, folder.scores, tuple(natural))
    assert found.rows == 2 * len(prepared.validation_labels) and found.loss_after < found.loss_before
    uniform = calibration_of(trial, folder.scores, (0.2,) * 5)
    shift = np.subtract(uniform.offsets, found.offsets)
    assert shift - shift[0] == pytest.approx(-np.log(natural / natural[0]))
    logits = RunScores.load(scores_path(folder.scores, "v", 7)).validation
    assert np.exp(log_softmax(found.apply(logits), axis=1)).mean(axis=0) == pytest.approx(natural, abs=0.06)


def test_a_recipe_that_gives_no_model_is_told_and_the_other_one_is_left(study, prepared):
    folder, facts, run, confirmed = study
    trial = dataclasses.replace(confirmed["winner"].trial, config={"arm": "tfidf_lr"})
    said = []
    confirmed = {"winner": Confirmed(trial, WORDS), "vanilla": confirmed["vanilla"]}
    leave_models(folder, facts, prepared, run, confirmed, said.append)
    assert "No model of the winner could be left" in said[0] and "tfidf_lr" in said[0]
    assert not folder.model("winner").exists() and folder.model("vanilla").exists()


def test_a_prior_of_other_classes_is_refused(study, prepared):
    folder, facts, run, confirmed = study
    with pytest.raises(ConfigurationError, match="deployment_prior"):
        leave_models(folder, facts, prepared, run, confirmed, print, {"absorption": 1.0})
