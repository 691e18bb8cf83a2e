"""Tables as programs and people really write them: read, or refused with what to do."""

import gzip
import os
import random

import pyarrow
import pytest
from pyarrow import parquet

from tests.trainables.corpora.tables import write, write_csv
from trainables.corpora.registry import read_corpus
from trainables.errors import ConfigurationError

ROWS = [(f"text number {i} of the table", "ab"[i % 2]) for i in range(12)]
CSV = "text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS)
TEXTS = sorted(text for text, _ in ROWS)


def read(path, **options):
    return read_corpus("tabular", str(path), **{"text": "text", "label": "label", **options})


@pytest.mark.parametrize(
    "content",
    [
        "sep=;\r\n" + CSV.replace(",", ";").replace("\n", "\r\n"),
        '"sep=;"\n' + CSV.replace(",", ";"),
        "\ufeffsep=\t\n" + CSV.replace(",", "\t"),
        CSV.replace("\n", ",,\n"),
        CSV.replace("\n", ",\n").replace("label,", "label"),
        CSV.replace("text,label", " text , label\u200b"),
        CSV.replace("text,label", '"text", "label"').replace(",a", ', "a"').replace(",b", ', "b"'),
        CSV.replace("\n", "\r"),
        CSV.replace("\n", "\r\n\r\n"),
        CSV.replace("\n", ",extra" + ",0" * 4000 + "\n"),
    ],
    ids=[
        "Excel's first line",
        "the same in quotes",
        "the same behind a byte order mark",
        "delimiters at all line ends",
        "delimiters at the ends of the rows alone",
        "spaces around names",
        "spaces before quotes",
        "CR",
        "empty lines",
        "thousands of columns",
    ],
)
def test_what_programs_write_is_read(tmp_path, content):
    if "extra" in content:
        content = content.replace("label,extra", "label," + ",".join(f"c{i}" for i in range(4001)), 1)
        content = content.replace(",0" * 4000, "", 1) if content.splitlines()[0].endswith(",0") else content
    corpus = read(write(tmp_path / "a.csv", content.encode()))
    assert sorted(corpus.texts) == TEXTS and corpus.class_counts() == {"a": 6, "b": 6} and not corpus.remarks


@pytest.mark.parametrize("options", [{}, {"quoting": "backslash"}])
def test_quotes_behind_a_backslash(tmp_path, options):
    texts = [rf"she said \"fine\" {i}, twice, and C:\new\table went" for i in range(9)]
    texts.append(r"a folder \"C:\\")
    content = "text,label\n" + "".join(f'"{text}",{"ab"[i % 2]}\n' for i, text in enumerate(texts))
    corpus = read(write(tmp_path / "a.csv", content.encode()), **options)
    assert corpus.left_out == {}
    assert 'she said "fine" 3, twice, and C:\\new\\table went' in corpus.texts
    assert 'a folder "C:\\' in corpus.texts


def test_a_backslash_before_a_closing_quote_is_text_where_quotes_are_doubled(tmp_path):
    rows = [(rf'the path "C:\{i}", and D:\dir' + "\\", "ab"[i % 2]) for i in range(9)]
    corpus = read(write_csv(tmp_path / "a.csv", rows, quoting=1))
    assert sorted(corpus.texts) == sorted(text for text, _ in rows)


def test_what_was_left_out_is_told_with_reason_number_and_first_place(tmp_path):
    rows = [
        f"{text}, and more,{label}\n" if i % 4 < 2 else f"{text},{label}\n"
        for i, (text, label) in enumerate(ROWS)
    ]
    corpus = read(write(tmp_path / "a.csv", ("text,label\n" + "".join(rows) + "no label,\n,a\n").encode()))
    assert corpus.remarks == (
        "8 of 14 rows were left out (row with another number of fields: 6, the first at a.csv:2 (3 where 2 were "
        "expected); no label: 1, the first at a.csv:14; no text: 1, the first at a.csv:15).",
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\n" + "“one, two”,a\n" * 3, r"no usable row.*3 of 3 rows.*first at a\.csv:2 .*--quoting"),
        ("text,label\nx,a\n" + "x, y,b\n" * 3, r"one class alone \(a\).*3 of 4 rows were left out"),
        ("# made by hand\n" + CSV, "Lines before the header, such as comments, have to be removed"),
        (CSV.replace("text,label", "Text,LABEL"), "Did you mean 'LABEL'"),
        (CSV.replace(",", "^"), r"the columns are 'text\^label'"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(tmp_path, content, message):
    with pytest.raises(ConfigurationError, match=message):
        read(write(tmp_path / "a.csv", content.encode()))


def test_one_column_cannot_be_both(tmp_path):
    with pytest.raises(ConfigurationError, match="--text and --label both name the column label"):
        read(write(tmp_path / "a.csv", CSV.encode()), text="label")


def test_a_label_of_spaces_and_invisible_characters_is_none(tmp_path):
    labels = ["  ", "\u00a0", "\u200b", "\ufeff"]
    corpus = read(
        write_csv(tmp_path / "a.csv", [*ROWS, *((f"odd {i}", name) for i, name in enumerate(labels))])
    )
    assert corpus.left_out == {"no label": 4} and corpus.classes == ("a", "b")


def test_texts_without_letters_are_told(tmp_path):
    rows = [(str(17 * i), label) for i, (_, label) in enumerate(ROWS)]
    assert (
        "12 of 12 texts hold no letter; is text the column"
        in read(write_csv(tmp_path / "a.csv", rows)).remarks[0]
    )


@pytest.mark.parametrize(
    ("text", "what"), [("caf\ufffd", "character that was lost"), ("cafÃ©", "read as cp1252")]
)
def test_texts_that_were_damaged_before_are_told(tmp_path, text, what):
    corpus = read(write_csv(tmp_path / "a.csv", [*ROWS, (text, "a"), ("café", "b")]))
    assert (
        len(corpus.remarks) == 1 and "1 of 14 texts hold" in corpus.remarks[0] and what in corpus.remarks[0]
    )


def test_a_gzip_that_is_cut_off_is_refused_and_one_in_name_alone_is_read(tmp_path):
    rng = random.Random(0)
    whole = gzip.compress((CSV + "".join(f"{rng.random()} is a number,a\n" for _ in range(9999))).encode())
    path = tmp_path / "a.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigurationError, match=r"a\.csv\.gz: cannot be read .*is the file complete"):
        read(path)
    path.write_bytes(CSV.encode())
    assert len(read(path)) == 12


def test_bytes_of_parquet_are_texts(tmp_path):
    table = pyarrow.table({
        "text": [text.encode() for text, _ in ROWS] + [b"not \xff text"],
        "label": [label.encode() for _, label in ROWS] + [b"a"],
    })  # fmt: skip
    parquet.write_table(table, tmp_path / "a.parquet")
    corpus = read(tmp_path / "a.parquet")
    assert corpus.class_counts() == {"a": 6, "b": 6} and corpus.left_out == {"broken character": 1}


def test_the_same_rows_in_two_files_count_once_and_are_told(tmp_path):
    for name in ("a.csv", "b.csv"):
        write(tmp_path / name, CSV.encode())
    corpus = read(tmp_path)
    assert len(corpus) == 12 and "duplicate in the same group: 12" in corpus.remarks[0]


def test_a_folder_of_arrays_is_read_where_there_is_no_other_table(tmp_path):
    write(tmp_path / "a.json", b'[{"text": "one text", "label": "a"}, {"text": "another", "label": "b"}]')
    assert len(read(tmp_path)) == 2
    write(tmp_path / "b.csv", CSV.encode())
    assert len(read(tmp_path)) == 12


def test_what_is_no_file_is_called_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match="pipe: no regular file; a table is read more than once"):
        read(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match="an address, expected a file; download it first"):
        read("https://example.org/my.csv")
    with pytest.raises(ConfigurationError, match="a folder, expected a file"):
        read(write(tmp_path / "a.csv", CSV.encode()), test_data=str(tmp_path))


def test_many_remarks_are_cut_and_what_was_left_out_stays(tmp_path):
    for i in range(12):
        write(tmp_path / f"{i}.csv", f"text,label\ncafé {i},a\nthé {i},b\nno label {i},\n".encode("cp1252"))
    remarks = read(tmp_path).remarks
    assert (
        len(remarks) == 8 and "6 more remarks" in remarks[-2] and "12 of 36 rows were left out" in remarks[-1]
    )


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "a/b", "x & y", "😀", "[/red]", "100 %", "a\tb"]
)
def test_class_names_of_any_characters(tmp_path, name):
    rows = [(text, name if label == "a" else label) for text, label in ROWS]
    assert read(write_csv(tmp_path / "a.csv", rows)).class_counts()[name] == 6
