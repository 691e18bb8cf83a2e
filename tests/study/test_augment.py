"""The augment command: the audit as a table or JSON, examples side by side, training rows alone, clear faults."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from study import augment
from study.audits.view import MEANINGS, example_table, examples_page, marked, shown
from tests.tiny_encoder import write_tiny_encoder
from tests.trainables.augment import toy_operator
from tests.trainables.augment.toy_operator import FACTORY, NAME
from trainables.augment.registry import OPERATORS
from trainables.corpora.leakage import split_corpus
from trainables.corpora.registry import read_corpus
from trainables.seeds import derive_seed

NAMES = ("embedding_neighbours", NAME)  # need nothing but the encoder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return ["--data", "sample", "--encoder", str(write_tiny_encoder(tmp_path_factory.mktemp("encoder")))]


@pytest.fixture
def run(tiny, capsys, monkeypatch):
    monkeypatch.setitem(OPERATORS, NAME, FACTORY)
    monkeypatch.setattr(augment, "OPERATORS", {name: OPERATORS[name] for name in NAMES})

    def call(*argv):
        code = augment.main(["adme", *tiny, "--set", "max_length=32", "--rows", "20", *argv])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def lacking(monkeypatch):
    """Let one operator be unavailable, as one is whose data is not installed."""
    monkeypatch.setattr(toy_operator, "why_unavailable", lambda: "it lacks its dictionary", raising=False)


@pytest.mark.parametrize("columns", ["60", "80"])
def test_a_narrow_terminal_shows_every_name_and_measure(run, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    code, out, _ = run("--strength", "0.1", "--show", "1")
    assert code == 0 and "…" not in out
    table = " ".join(out.split())
    for said in (*NAMES, "words changed", "label agreement", "numerals kept"):
        assert said in table


def test_json_alone_goes_to_standard_output_and_the_file_is_the_same(run, tmp_path):
    file = tmp_path / "audit.json"
    code, out, _ = run("--format", "json", "--strength", "0.1", "0.3", "--copies", "2", "--output", str(file))
    assert code == 0
    found = json.loads(out)
    assert found == json.loads(file.read_text(encoding="utf-8"))
    audits = found["audits"]
    assert {(a["operator"], a["strength"]) for a in audits} == {(n, s) for n in NAMES for s in (0.1, 0.3)}
    for audit in audits:
        assert audit["rows"] == 20 and audit["copies"] == 2 and audit["examples"] == []
        assert all({"mean", "low", "high", "n"} == set(audit[name]) for name in MEANINGS)
        assert audit["numerals_kept"]["mean"] == 1


def test_the_table_shows_every_operator_and_as_many_examples_as_asked_for(run):
    code, out, err = run("--operator", NAME, "--strength", "0.2", "--show", "3")
    assert code == 0 and "\x1b" not in out
    assert "marking at strength 0.2" in out and "numerals kept" in out
    assert "mean nothing" in out or "nothing here tells of real ones" in out
    assert out.count("├") == 2
    assert "embedding_neighbours" not in out and NAME not in err.replace("marking 0.2", "")


def test_the_defaults_are_every_operator_at_four_strengths(run):
    found = json.loads(run("--format", "json", "--copies", "1")[1])
    assert [a["strength"] for a in found["audits"]] == [0.05, 0.1, 0.3, 0.5] * 2


def test_no_text_of_validation_or_test_is_shown(run):
    found = json.loads(run("--format", "json", "--show", "20", "--operator", NAME)[1])
    corpus = read_corpus("adme", "sample").in_canonical_order()
    split = split_corpus(corpus, seed=derive_seed(found["seed"], "split"))
    train = {corpus.texts[row] for row in split.train}
    shown_texts = {example["source"] for audit in found["audits"] for example in audit["examples"]}
    assert len(shown_texts) == 20 and shown_texts <= train


def test_the_same_seed_gives_the_same_audit(run):
    one = run("--format", "json", "--operator", NAME, "--show", "5")[1]
    assert one == run("--format", "json", "--operator", NAME, "--show", "5")[1]
    assert one != run("--format", "json", "--operator", NAME, "--show", "5", "--seed", "1")[1]


@pytest.mark.usefixtures("lacking")
def test_what_cannot_run_here_is_left_out_with_the_reason(run):
    code, out, err = run("--format", "json", "--strength", "0.1")
    found = json.loads(out)
    assert code == 0 and found["unavailable"] == {NAME: "it lacks its dictionary"}
    assert NAME not in {audit["operator"] for audit in found["audits"]}
    assert "marking cannot run here and is left out: it lacks its dictionary" in err


@pytest.mark.usefixtures("lacking")
def test_what_was_asked_for_and_cannot_run_is_a_fault(run):
    code, out, err = run("--operator", NAME)
    assert code == 2 and out == "" and "it lacks its dictionary" in err


def test_all_faults_are_told_at_once(run, tmp_path):
    code, out, err = run(
        "--operator", "nothing", "--strength", "0", "x", "--rows", "0", "--copies", "0", "--show", "-1",
        "--output", str(tmp_path / "no" / "file"), "--data", "missing.jsonl",
    )  # fmt: skip
    assert code == 2 and out == ""
    for fault in (
        "--operator nothing",
        "--strength 0",
        "--strength x",
        "--rows 0",
        "--copies 0",
        "--show -1",
    ):
        assert fault in err
    assert "--output" in err and "missing.jsonl: no such file" in err


@given(st.text(max_size=60), st.text(max_size=60))
def test_marks_lose_nothing(before, after):
    one, other = marked(before, after)
    assert "".join(text for text, _ in one) == before and "".join(text for text, _ in other) == after
    assert "".join(t for t, c in one if not c).split() == "".join(t for t, c in other if not c).split()


def test_changes_are_coloured_on_a_terminal_alone():
    examples = [{"source": "a [red] dose", "augmentation": "a blue dose", "label": 0}]
    on, off = (
        Console(width=80, force_terminal=terminal, color_system="standard" if terminal else None)
        for terminal in (True, False)
    )
    with on.capture() as coloured, off.capture() as plain:
        on.print(example_table(examples, ["other"]))
        off.print(example_table(examples, ["other"]))
    assert "\x1b[1;31m [red]" in coloured.get() and "\x1b[1;32m blue" in coloured.get()
    assert "\x1b" not in plain.get() and "[red]" in plain.get()


def test_the_page_of_examples_escapes_what_is_not_its_own():
    measure = {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 9}
    audit = {"operator": "<b>", "strength": 0.1, **dict.fromkeys(MEANINGS, measure)}
    page = examples_page(audit, [{"source": "<i> & x", "augmentation": "<u> & x", "label": 0}], ["<script>"])
    tags = []
    reader = HTMLParser()
    reader.handle_starttag = lambda tag, attributes: tags.append(tag)
    reader.feed(page)
    assert {"del", "ins", "table"} <= set(tags) and not {"b", "i", "u", "script"} & set(tags)


def test_an_undefined_measure_is_a_dash():
    assert shown("distinct", {"mean": None, "low": None, "high": None, "n": 0}) == "–"
