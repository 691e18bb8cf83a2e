"""One precision a study, whichever machines it begins on, goes on on, and has workers on."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from study.config.files import load_study_file
from study.config.operators import without_unavailable
from study.record.folder import StudyFolder
from study.run import numerics
from study.run.checks import checked
from study.run.cluster import Connection
from study.run.numerics import numerics_of, one_precision, precision_sentence
from tests.study.simulation import small_config
from tests.tiny_encoder import write_tiny_encoder
from trainables.corpora.drug_labels.sample import generate_sample
from trainables.errors import ConfigurationError
from trainables.model.encoder import resolve_precision
from trainables.replicate import run_replicate
from trainables.reuse.keys import model_key
from trainables.settings import EncoderSettings, TrialSettings
from trainables.world import World

SLOW, FAST = {"avx2": True}, {"avx512_bw": True, "amx_bf16": True}
JOINED = Connection(True, "")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return str(write_tiny_encoder(tmp_path_factory.mktemp("encoder")))


@pytest.fixture
def machine(monkeypatch):
    """Return a function that makes this one a machine of such a processor, with or without compiled kernels."""

    def make(capabilities, *, kernels: bool = False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
        for module in ("study.run.numerics", "trainables.model.encoder"):
            monkeypatch.setattr(f"{module}.compiled_kernels", lambda: object() if kernels else None)

    return make


def recorded(config, connection=None, known=None):
    encoder = one_precision(config, connection, known)
    return encoder, numerics_of(config, connection, encoder)


def test_a_new_study_records_what_is_fast_on_its_machine(machine, tiny):
    config = small_config(encoder=tiny)
    for capabilities, precision in ((SLOW, "float32"), (FAST, "bfloat16")):
        machine(capabilities)
        encoder, found = recorded(config)
        assert (encoder.precision, found["precision"]) == (precision, precision)
        assert precision_sentence(encoder, None) == ""


def test_kernels_are_recorded_where_they_change_numbers(machine, tiny):
    config = small_config(encoder=tiny)
    for processor in (FAST, SLOW):
        for kernels, name in ((True, "compiled"), (False, "torch")):
            machine(processor, kernels=kernels)
            assert recorded(config)[1]["kernels"] == name


def test_another_machine_follows_the_precision_of_the_beginning_and_says_what_it_costs(machine, tiny):
    config = small_config(encoder=tiny)
    machine(FAST)
    known = {"numerics": recorded(config)[1]}
    machine(SLOW)
    encoder, found = recorded(config, known=known)
    assert encoder.precision == "bfloat16" and found == known["numerics"]
    assert "goes on in bfloat16" in precision_sentence(encoder, None)
    assert precision_sentence(encoder, JOINED) == "", "trials run elsewhere"
    known = {"numerics": {**found, "precision": "float32"}}
    machine(FAST)
    encoder, found = recorded(config, known=known)
    assert encoder.precision == found["precision"] == "float32"
    assert "goes on in float32" in precision_sentence(encoder, None)


def test_kernels_are_followed_and_a_machine_without_them_is_refused(machine, tiny):
    config = small_config(encoder=tiny)
    known = {"numerics": {"precision": "bfloat16", "kernels": "torch"}}
    machine(FAST, kernels=True)
    assert recorded(config, known=known)[0].kernels == "torch"
    known["numerics"]["kernels"] = "compiled"
    assert recorded(config, known=known)[0].kernels == "compiled"
    machine(SLOW)
    with pytest.raises(ConfigurationError, match=r"compiled kernels.*--fresh") as refused:
        one_precision(config, None, known)
    assert len(refused.value.faults) == 1


def test_a_mixed_cluster_computes_in_what_all_its_machines_can(monkeypatch, tiny):
    config = small_config(encoder=tiny)
    answers = {"_fast_precision": ["bfloat16", "float32"], "_has_kernels": [True, False]}

    def asked(ask, connection):
        assert connection is JOINED
        return answers[getattr(ask, "func", ask).__name__]

    monkeypatch.setattr(numerics, "_on_nodes", asked)
    assert one_precision(config, JOINED, None).precision == "float32"
    answers["_fast_precision"] = ["bfloat16", "bfloat16"]
    assert one_precision(config, JOINED, None).kernels == "torch"
    answers["_has_kernels"] = [True, True]
    assert one_precision(config, JOINED, None).kernels == "compiled"


def test_trials_on_gpus_compute_in_what_the_gpus_do_and_in_bfloat16_while_there_are_none(monkeypatch, tiny):
    config = small_config(encoder=tiny, gpus_per_trial=0.5)
    found = {"gpus": torch.float32}
    monkeypatch.setattr(numerics, "gpu_precision", lambda config, connection: found["gpus"])
    assert one_precision(config, JOINED, None).precision == "float32"
    found["gpus"] = None
    encoder, facts = recorded(config, JOINED)
    assert encoder.precision == "bfloat16" and facts["device"] == "cuda" and "kernels" not in facts
    assert one_precision(config, JOINED, {"numerics": {"precision": "float32"}}).precision == "float32"


def test_a_resumed_launch_follows_and_an_older_study_takes_what_the_machine_does(
    machine, tmp_path, tiny, monkeypatch
):
    monkeypatch.setattr("study.run.checks.first_step_faults", lambda *args: [])  # it trains
    corpus, folder = generate_sample(600), StudyFolder(tmp_path, "adme")
    config, _ = without_unavailable(
        load_study_file("adme", "smoke", {"max_sample_rows": 60, "max_validation_rows": 40, "encoder": tiny}),
        None,
    )

    def launch(resumes):
        _, _, run, _ = checked(config, folder, corpus, None, resumes=resumes, store_faults=[])
        facts = {
            "study_id": "a",
            "config": config.identity(),
            "corpus": {"digest": corpus.digest, "source": corpus.source},
            "numerics": numerics_of(config, None, run.encoder),
        }
        folder.write_facts(facts)
        return run.encoder.precision, facts

    machine(FAST)
    began, facts = launch(resumes=False)
    machine(SLOW)
    assert (began, launch(resumes=True)[0]) == ("bfloat16", "bfloat16")
    older = {name: value for name, value in facts["numerics"].items() if name not in ("precision", "kernels")}
    folder.write_facts({**facts, "numerics": older})
    precision, now = launch(resumes=True)
    assert precision == now["numerics"]["precision"] == "float32"
    assert launch(resumes=False)[0] == "float32", "a fresh study is this machine's own"


def test_a_worker_computes_in_the_studys_precision_whatever_its_own_machine_likes(machine, tmp_path, tiny):
    config, _ = without_unavailable(
        load_study_file("adme", "smoke", {"max_sample_rows": 60, "max_validation_rows": 40, "encoder": tiny}),
        None,
    )
    folder = StudyFolder(tmp_path, "adme")
    machine(SLOW)
    prepared, _, run, _ = checked(config, folder, generate_sample(600), None, resumes=False, store_faults=[])
    trial = TrialSettings(arm="vanilla", stage2_steps=2)

    def loss(precision):
        own = dataclasses.replace(run, encoder=dataclasses.replace(run.encoder, precision=precision))
        return run_replicate(prepared, own, trial, 0, World.single()).metrics["val/nll"]

    slow = loss("float32")
    machine(FAST)
    assert loss(run.encoder.precision) == slow
    assert loss("auto") != slow


def test_a_decided_precision_names_the_same_cached_weights_as_the_machines_own(machine, tiny):
    own = EncoderSettings(name=tiny, device="cpu")
    for kernels in (True, False):
        machine(FAST, kernels=kernels)
        decided = one_precision(small_config(encoder=tiny), None, None)
        assert resolve_precision(decided) is resolve_precision(own)
        keys = [model_key(e, 2, 0, normalised=False, dropout=None) for e in (own, decided)]
        assert keys[0] == keys[1]
    machine(FAST, kernels=True)
    torchs = dataclasses.replace(own, kernels="torch")
    assert model_key(torchs, 2, 0, normalised=False, dropout=None) == keys[0], "one without kernels has these"
