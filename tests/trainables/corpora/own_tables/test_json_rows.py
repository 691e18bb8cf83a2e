"""JSON as it is really written: rows that lack a column, arrays, objects over several lines or within others."""

import json

import pytest

from tests.trainables.corpora.tables import write
from trainables.corpora.registry import read_corpus
from trainables.errors import ConfigurationError

ROWS = [{"text": f"text number {i}", "label": "ab"[i % 2]} for i in range(12)]
EXPECTED = {"a": 6, "b": 6}


def read(path, **options):
    return read_corpus("tabular", str(path), **{"text": "text", "label": "label", **options})


@pytest.mark.parametrize("unlabelled", [1, 11])
def test_the_first_rows_may_lack_a_column(tmp_path, unlabelled):
    rows = [{"text": row["text"]} if i < unlabelled else row for i, row in enumerate([*ROWS, *ROWS])]
    corpus = read(write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)).encode()))
    assert corpus.left_out["no label"] == unlabelled
    assert "the first at a.jsonl:1" in corpus.remarks[0]


def test_a_column_that_no_row_has_is_a_fault(tmp_path):
    rows = [{"text": row["text"], f"extra {i}": 1} for i, row in enumerate(ROWS)]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)).encode())
    with pytest.raises(
        ConfigurationError, match=r"lines 1 to 12: there is no column 'label'.*'extra 0'.*'extra 11'"
    ):
        read(path)


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        "\ufeff" + json.dumps(ROWS),
        "\n\n [\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n",
        "\n".join(json.dumps(row, indent=2) for row in ROWS),
        ",\n".join(map(json.dumps, ROWS)),
    ],
    ids=["array", "indented", "byte order mark", "a line each", "objects over lines", "commas at line ends"],
)
@pytest.mark.parametrize("name", ["a.json", "a.jsonl.gz"])
def test_arrays_and_objects_over_several_lines_are_read(tmp_path, name, content):
    assert read(write(tmp_path / name, content.encode())).class_counts() == EXPECTED


def test_json_lines_are_known_by_any_name(tmp_path):
    path = write(tmp_path / "a.csv", "\n".join(map(json.dumps, ROWS)).encode())
    assert read(path).class_counts() == EXPECTED


def test_rows_of_an_array_are_traced_by_their_lines(tmp_path):
    path = write(tmp_path / "a.json", json.dumps(ROWS[:2], indent=1).encode())
    assert sorted(read(path).origins) == ["a.json:2", "a.json:6"]


def test_an_array_larger_than_what_is_read_ahead(tmp_path):
    rows = [
        {"text": f"{i} " + "word " * (20_000 if i == 7 else 200), "label": "ab"[i % 2]} for i in range(300)
    ]
    corpus = read(write(tmp_path / "a.json", json.dumps(rows, indent=1).encode()))
    assert corpus.class_counts() == {"a": 150, "b": 150}
    assert max(map(len, corpus.texts)) > 99_999


def test_values_inside_objects_are_named_with_a_dot(tmp_path):
    rows = [{"data": {"text": row["text"]}, "meta": {"more": {"label": row["label"]}}} for row in ROWS]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)).encode())
    assert read(path, text="data.text", label="meta.more.label").class_counts() == EXPECTED
    with pytest.raises(ConfigurationError, match=r"no column 'text'.*Did you mean 'data\.text'"):
        read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps({"rows": ROWS}), r"'rows' holds a list of objects"),
        (json.dumps([["text", "label"], ["x", "a"]]), r"line 1: expected a JSON object"),
        (json.dumps(ROWS)[:-1], r"the array is not closed at its end; is the file complete"),
        (json.dumps(ROWS)[:-9], r"line 1: not JSON"),
        (json.dumps(ROWS, indent=1).replace('"text": "text number 5"', '"text" "x"'), r"line 23: not JSON"),
        ("[]", "there is no row in it"),
        ("{'text': 'x', 'label': 'a'}\n" * 3, r"line 1: not JSON.*one JSON object a line, or an array"),
        (
            json.dumps([{"text": "x", "text ": "y", "label": "a"}]).replace("text ", "text"),
            "2 columns are called 'text'",
        ),
    ],
)
def test_faults_are_explained(tmp_path, content, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        read(write(tmp_path / "a.json", content.encode()))
    assert "a.json" in str(caught.value)
