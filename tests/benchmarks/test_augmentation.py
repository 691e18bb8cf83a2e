import json

import pytest
import torch

from benchmarks.augmentation import PAIRS, main, table_faults, write_masked_lm
from benchmarks.contextual_reference import OneAtATime
from tests.trainables.augment import fake_apertium
from trainables.augment.registry import OPERATORS
from trainables.model.encoder import load_tokenizer
from trainables.settings import EncoderSettings


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    for name in ("STUDY_PARAPHRASE_URL", "STUDY_PARAPHRASE_MODEL"):
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_every_registered_operator_has_its_line():
    assert table_faults(OPERATORS, PAIRS) == []


def test_registry_and_table_that_disagree_are_an_error():
    missing, extra = table_faults(["eda", "new_one"], ["eda", "gone"])
    assert "'new_one' is registered" in missing
    assert "'gone', which is no registered operator" in extra


def test_an_unknown_operator_stops_the_benchmark(capsys):
    assert main(["--operators", "synonims"]) == 2
    assert "synonims" in capsys.readouterr().err


def test_it_prints_one_json_object(capsys, monkeypatch):
    fake_apertium.use(monkeypatch, None)
    names = [
        "contextual_substitution",
        "contextual_insertion",
        "embedding_neighbours",
        "paraphrase",
        "back_translation",
    ]
    arguments = ["--texts", "2", "--rounds", "1", "--hidden-size", "12", "--operators", *names]
    assert main(arguments) == 0
    figures = json.loads(capsys.readouterr().out)
    assert set(figures["left_out"]) == {"paraphrase", "back_translation"}
    assert "STUDY_PARAPHRASE_URL" in figures["left_out"]["paraphrase"]
    found = figures["operators"]
    assert set(found) == set(names) - set(figures["left_out"])
    assert found["embedding_neighbours"]["words_per_s"] > found["embedding_neighbours"]["ours"] > 0
    assert found["embedding_neighbours"]["ratio"] is None
    for name in names[:2]:
        assert found[name]["ratio"] == pytest.approx(found[name]["ours"] / found[name]["reference"], rel=0.1)


def test_the_reference_changes_as_many_words_as_ours_would(tmp_path):
    write_masked_lm(tmp_path, 12)
    from transformers import AutoModelForMaskedLM

    model = AutoModelForMaskedLM.from_pretrained(tmp_path)
    tokenizer = load_tokenizer(EncoderSettings())
    text = "the medicine was taken up by the body of the patient in the house"
    substitute = OneAtATime(model, tokenizer, 0.3)
    for _ in range(10):
        made = substitute.augment(text).split()
        assert len(made) == 14
        assert sum(a != b for a, b in zip(text.split(), made, strict=True)) == 4
    assert len(OneAtATime(model, tokenizer, 0.3, inserts=True).augment(text).split()) == 18
