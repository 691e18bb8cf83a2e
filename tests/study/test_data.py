import json

import pytest

from study import data
from trainables.corpora.registry import read_corpus


def test_json_goes_to_standard_output_alone(capsys):
    assert data.main(["adme", "--data", "sample", "--format", "json"]) == 0
    printed = capsys.readouterr()
    about = json.loads(printed.out)
    assert set(about) == {"rows", "groups", "classes", "found", "left_out", "duplicates", "digest", "remarks"}
    assert about["rows"] == sum(about["classes"].values()) and printed.err == ""


def test_the_table_names_classes_and_warns_of_the_sample(capsys):
    assert data.main(["adme"]) == 0
    printed = capsys.readouterr().out
    assert "excretion" in printed and "mean nothing about FDA labels" in printed


def test_the_output_holds_every_row(tmp_path, capsys):
    file = tmp_path / "rows.jsonl"
    assert data.main(["adme", "--output", str(file), "--format", "json"]) == 0
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    corpus = read_corpus("adme", None)
    assert [row["text"] for row in rows] == list(corpus.texts)
    assert all(set(row) == {"text", "label", "group", "origin"} for row in rows)
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["adme", "--data", "missing.jsonl"], "missing.jsonl: no such file"),
        (["unknown"], "corpus 'unknown' is not known"),
        (["adme", "--output", "no/such/folder/rows.jsonl"], "--output no/such/folder/rows.jsonl"),
    ],
)
def test_configuration_faults_exit_with_2(argv, message, capsys):
    assert data.main(argv) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.out == ""


def test_duplicates_are_told_apart_from_what_else_is_left_out(tmp_path, capsys):
    section = "Absorption Velorin peaks at 2 hours. Distribution Unknown."
    record = {"openfda": {"generic_name": ["velorin"]}, "pharmacokinetics": [section]}
    file = tmp_path / "labels.jsonl"
    file.write_text("".join(json.dumps({**record, "set_id": name}) + "\n" for name in "ab"))
    assert data.main(["adme", "--data", str(file), "--format", "json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["left_out"] == {"too short": 2}
    assert about["duplicates"] == {"duplicate in the same group": 1}


@pytest.mark.parametrize("columns", ["30", "60"])
def test_a_narrow_terminal_shows_every_class(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert data.main(["adme", "--data", "sample"]) == 0
    out = capsys.readouterr().out
    for name in ("absorption", "distribution", "metabolism", "longest", "near-duplicate"):
        assert name in out
    assert "…" not in out


def test_a_table_is_described_with_what_was_guessed_left_out_and_alike(tmp_path, capsys):
    names = ["<script>alert(1)</script>", "a/b & [/red]", "A/B & [/red]"]
    rows = "".join(f"café number {i}{', and more' * (i % 2)},{names[i // 2 % 3]}\n" for i in range(24))
    path = tmp_path / "my.csv"
    path.write_bytes(("text,label\n" + rows).encode("cp1252"))
    argv = ["tabular", "--data", str(path), "--text", "text", "--label", "label"]
    assert data.main([*argv, "--format", "json"]) == 0
    guessed, alike, left_out = json.loads(capsys.readouterr().out)["remarks"]
    assert "read as cp1252, which is a guess: line 2 then reads “café number 0" in guessed
    assert "'A/B & [/red]' (4) and 'a/b & [/red]' (4)" in alike
    assert (
        left_out.startswith("12 of 24 rows were left out")
        and "my.csv:3 (3 where 2 were expected)" in left_out
    )
    assert data.main([*argv, "--merge-alike", "--encoding", "latin-1"]) == 0
    printed = capsys.readouterr().out
    assert names[0] in printed and names[2] in printed
    assert "guess" not in printed and "made one class each" in printed and "Note: 12 of 24 rows" in printed
