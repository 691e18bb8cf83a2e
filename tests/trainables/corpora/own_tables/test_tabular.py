import json
from pathlib import Path
from typing import ClassVar

import pyarrow
import pyarrow.parquet
import pytest

from tests.trainables.corpora.contract import ReaderContract
from tests.trainables.corpora.tables import sample_rows, write, write_csv, write_json, write_parquet
from trainables.corpora.drug_labels.headings import CLASSES
from trainables.corpora.leakage import split_corpus
from trainables.corpora.registry import read_corpus
from trainables.errors import ConfigurationError

DATA = Path(__file__).parents[5] / "shared" / "data"
ROWS = [
    ("a tablet is swallowed", "oral"),
    ("a needle is used", "injected"),
    ("drops under the tongue", "oral"),
]


def read(path, **options):
    return read_corpus("tabular", str(path), **{"text": "text", "label": "label", **options})


class TableContract(ReaderContract):
    classes = tuple(sorted(CLASSES))
    suffix: str
    write: staticmethod

    def read(self, tmp_path):
        return read(self.write(tmp_path / f"rows{self.suffix}", sample_rows()), group="group")

    def read_reordered(self, tmp_path):
        return read(self.write(tmp_path / f"reordered{self.suffix}", sample_rows()[::-1]), group="group")

    def read_with_bad_rows(self, tmp_path):
        text, label, group = sample_rows()[0]
        bad = [("", label, group), ("a text without a label", "", group), (text.lower(), label, group)]
        bad += [("one text of two labels", "other", "x"), ("One text  of two labels", "excretion", "y")]
        bad.append(("a NUL \0 inside", label, group))
        return read(self.write(tmp_path / f"dirty{self.suffix}", [*bad, *sample_rows()]), group="group")

    bad_rows: ClassVar = {
        "no text": 1,
        "no label": 1,
        "duplicate in the same group": 1,
        "duplicate with another label": 2,
        "NUL character": 1,
    }


class TestCsv(TableContract):
    suffix, write = ".csv", staticmethod(write_csv)


class TestZippedCsv(TableContract):
    suffix, write = ".csv.gz", staticmethod(write_csv)


class TestJsonLines(TableContract):
    suffix, write = ".jsonl", staticmethod(write_json)


class TestParquet(TableContract):
    suffix, write = ".parquet", staticmethod(write_parquet)


def test_all_formats_and_dialects_give_the_same_corpus(tmp_path):
    rows = sample_rows(120)
    awkward = [
        ('she said "two", twice;\tand | left', "other", "g"),
        ("naïve µg ≥ 5\nnext line", "excretion", "h"),
    ]
    rows += awkward
    paths = [
        write_csv(tmp_path / "comma.csv", rows),
        write_csv(tmp_path / "semicolon.csv", rows, delimiter=";"),
        write_csv(tmp_path / "tab.tsv", rows, delimiter="\t"),
        write_csv(tmp_path / "pipe.txt.gz", rows, delimiter="|"),
        write_csv(tmp_path / "unix.csv", rows, lineterminator="\n"),
        write_csv(tmp_path / "bom.csv", rows, encoding="utf-8-sig"),
        write_csv(tmp_path / "wide.csv", rows, encoding="utf-16"),
        write_csv(tmp_path / "unmarked.csv", rows, encoding="utf-16-le"),
        write_csv(tmp_path / "all quoted.csv", rows, quoting=1),
        write_json(tmp_path / "lines.jsonl.gz", rows),
        write_parquet(tmp_path / "rows.parquet", rows),
    ]
    assert len({read(path, group="group").digest for path in paths}) == 1


def test_columns_go_by_number_and_then_there_is_no_header(tmp_path):
    path = write_csv(tmp_path / "a.tsv", [(label, text) for text, label in ROWS], header=None, delimiter="\t")
    corpus = read(path, text="1", label="0")
    assert corpus.class_counts() == {"injected": 1, "oral": 2}
    with_header = write_csv(tmp_path / "b.csv", ROWS)
    assert read(with_header, text="0", label="1", header="yes").class_counts() == {"injected": 1, "oral": 2}
    assert "label" in read(with_header, text="0", label="1").classes


def test_quotes_that_enclose_no_field_are_text(tmp_path):
    lines = ['ham\t"Well" he said', 'spam\t"WIN now', "ham\tplain", 'spam\t2" screen', 'ham\t"all of it"']
    corpus = read(write(tmp_path / "a.tsv", "\n".join(lines).encode()), text="1", label="0")
    assert sorted(corpus.texts) == sorted(line.split("\t")[1] for line in lines)


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([10, 2, 10], ("2", "10")),
        ([1.0, 0.0, None], ("0", "1")),
        ([True, False, True], ("False", "True")),
        (["b", "a", "b"], ("a", "b")),
        ([0.5, 1.5, 0.5], ("0.5", "1.5")),
    ],
)
def test_labels_of_any_type(tmp_path, values, classes):
    rows = [(text, value) for (text, _), value in zip(ROWS, values, strict=True)]
    assert read(write_json(tmp_path / "a.jsonl", rows)).classes == classes
    assert read(write_parquet(tmp_path / "a.parquet", rows)).classes == classes


def test_a_dictionary_column_is_read(tmp_path):
    texts, labels = zip(*ROWS, strict=True)
    table = pyarrow.table({"text": list(texts), "label": pyarrow.array(labels).dictionary_encode()})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet").class_counts() == {"injected": 1, "oral": 2}


def test_rows_with_another_number_of_fields_are_counted(tmp_path):
    content = b"text,label\nfirst text,a\nsecond, with a comma,b\nthird text,b\nno label\n"
    corpus = read(write(tmp_path / "a.csv", content))
    assert corpus.left_out == {"row with another number of fields": 2} and len(corpus) == 2


def test_origins_name_file_and_line(tmp_path):
    path = write(tmp_path / "a.csv", b'text,label\n"two\nlines",a\nlast text,b\n')
    assert sorted(read(path).origins) == ["a.csv:2", "a.csv:4"]


class TestGivenSplits:
    def rows(self, part, n=12):
        return [(f"{part} text of row {i} {'xyz'[i % 3] * 3}", "ab"[i % 2]) for i in range(n)]

    def check(self, corpus, **sizes):
        assert {part: corpus.split.count(part) for part in sizes} == sizes
        split = split_corpus(corpus, seed=1)
        assert {corpus.split[row] for row in split.test} == {"test"}
        return split

    def test_in_a_column(self, tmp_path):
        rows = [(*row, part) for part in ("train", "Dev", "TEST") for row in self.rows(part)]
        path = write_csv(tmp_path / "a.csv", rows, header=("text", "label", "part"))
        self.check(read(path, split="part"), train=12, validation=12, test=12)

    def test_in_files_of_a_folder(self, tmp_path):
        for part in ("train", "valid", "test"):
            write_csv(tmp_path / f"my-{part}.csv.gz", self.rows(part))
        (tmp_path / "README.txt").write_text("how these files came to be")
        self.check(read(tmp_path), train=12, validation=12, test=12)

    def test_in_files_that_are_named(self, tmp_path):
        one, two = (write_csv(tmp_path / f"{name}.csv", self.rows(name)) for name in ("one", "two"))
        self.check(read(one, test_data=str(two)), train=12, test=12)

    def test_a_validation_set_that_is_missing_is_cut_from_train(self, tmp_path):
        for part, n in (("train", 60), ("test", 10)):
            write_csv(tmp_path / f"{part}.csv", self.rows(part, n))
        split = self.check(read(tmp_path), train=60, test=10)
        assert 4 <= len(split.validation) <= 20
        assert len(split.train) + len(split.validation) + len(split.test) == 70

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"split": "part"}, "'later' is no part of a split"),
            ({"split": "part", "test_data": "x.csv"}, "the split is given twice"),
        ],
    )
    def test_faults(self, tmp_path, options, message):
        path = write_csv(tmp_path / "a.csv", [(*ROWS[0], "later")], header=("text", "label", "part"))
        with pytest.raises(ConfigurationError, match=message):
            read(path, **options)


def test_tables_of_a_folder_are_read_as_one(tmp_path):
    write_csv(tmp_path / "a.csv", ROWS[:2])
    write_json(tmp_path / "b.jsonl", ROWS[2:])
    assert len(read(tmp_path)) == 3 and read(tmp_path).split is None


@pytest.mark.parametrize("name", ["train", None])
def test_hugging_face_data_sets_of_a_local_folder(tmp_path, name):
    datasets = pytest.importorskip("datasets")
    texts, labels = zip(*ROWS, strict=True)
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["injected", "oral"])}
    )
    data = datasets.Dataset.from_dict(
        {"text": [*texts, "not labelled"], "label": [*map(["injected", "oral"].index, labels), -1]},
        features=features,
    )
    if name is not None:
        data = datasets.DatasetDict({name: data, "test": data})
    data.save_to_disk(tmp_path / "data")
    corpus = read(f"hf:{tmp_path / 'data'}")
    assert corpus.classes == ("injected", "oral")
    assert corpus.left_out["no label"] == (1 if name is None else 2)
    assert (corpus.split is None) == (name is None)
    with pytest.raises(ConfigurationError, match="no column 'words'"):
        read(f"hf:{tmp_path / 'data'}", text="words")


def test_an_unknown_hugging_face_data_set_is_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ConfigurationError, match=r"hf:.*cannot be loaded"):
        read(f"hf:{tmp_path / 'nothing'}")


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.csv", b"", {}, "empty"),
        ("a.csv", b"\xef\xbb\xbf \r\n", {}, "empty"),
        ("a.csv", b"text,label\n", {}, "a header and no row"),
        ("a.csv", b"text,label\nx,a\ny,a\n", {}, "one class alone"),
        ("a.csv", b"text,text,label\nx,y,a\n", {}, "2 columns are called 'text'.* 0, 1"),
        ("a.csv", b"texts,label\nx,a\n", {}, "no column 'text'.*'texts', 'label'. Did you mean 'texts'"),
        ("a.csv", b"text,label\nx,a\n", {"text": "9", "label": "8"}, "no column '9'"),
        (
            "a.csv",
            b'text,label\n"x,a\ny,b\n',
            {"quoting": "double"},
            r"a\.csv, line 2: the row cannot be read",
        ),
        ("a.csv", b"text,label\nx,a\n", {"delimiter": "::"}, "--delimiter '::'"),
        ("a.csv", b"text,label\nx,a\n", {"quoting": "single"}, "--quoting single"),
        ("a.csv", b"text,label\nx,a\n", {"header": "maybe"}, "--header maybe"),
        ("a.csv", b"text,label\nx,a\n", {"encoding": "klingon"}, "--encoding klingon"),
        ("a.csv", b"text,label\n\xe9,a\n", {"encoding": "utf-8"}, r"a\.csv, line \d.*not utf-8"),
        (
            "a.csv",
            "text,label\nä ö ü ß é è,a\n".encode() + b"\xff\n",
            {},
            r"a\.csv, line 3: not UTF-8, but other lines are",
        ),
        ("a.csv", b"PK\x03\x04etc", {}, "zip archive or a spreadsheet"),
        ("a.csv.gz", b"\x1f\x8b\x08\x00broken", {}, "cannot be read"),
        ("a.parquet", b"PAR1broken", {}, "cannot be read as Parquet"),
        ("a.jsonl", b'{"text": "x", "label": "a"}\nnonsense\n', {}, r"a\.jsonl, line 2: not JSON"),
        ("a.jsonl", b'["x", "a"]\n', {}, "line 1: expected a JSON object"),
        ("a.jsonl", b'{"text": "x", "text": "y", "label": "a"}\n', {}, "2 columns are called 'text'"),
        ("a.jsonl", b'{"text": "x", "label": ["a", "b"]}\n', {}, "a.jsonl:1: the label is a list"),
        ("a.jsonl", b'{"a":' * 100_000, {}, "line 1: not JSON"),
        ("a.jsonl", b'{"text": "\\ud800", "label": "a"}\n', {}, "broken character: 1"),
    ],
)
def test_bad_files_are_explained(tmp_path, name, content, options, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        read(path, **options)
    assert name in str(caught.value) or "--" in str(caught.value)


def test_all_missing_options_and_columns_are_named_at_once(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        read_corpus("tabular", None)
    assert len(caught.value.faults) == 3
    path = write_csv(tmp_path / "a.csv", ROWS)
    with pytest.raises(ConfigurationError) as caught:
        read(path, text="x", label="y", group="z")
    assert len(caught.value.faults) == 3


def test_a_row_of_a_million_characters_is_read_and_one_without_end_refused(tmp_path):
    path = write_csv(tmp_path / "a.csv", [*ROWS, ("long " * 200_000, "oral")])
    assert max(map(len, read(path).texts)) == 999_999
    path.write_bytes(b"text,label\n" + b"x" * 10_000_002)
    with pytest.raises(ConfigurationError, match="line 2: longer than 10000000 characters"):
        read(path)


def test_a_column_of_texts_is_no_column_of_labels(tmp_path):
    rows = [(f"a text numbered {i}", f"another text {i}") for i in range(30)]
    with pytest.raises(ConfigurationError, match="30 different values in 30 rows"):
        read(write_csv(tmp_path / "a.csv", rows))


def test_accents_of_one_byte_are_recognised(tmp_path):
    rows = [
        (f"le médicament a été avalé après le dîner, à l'hôtel, numéro {i}", "ab"[i % 2]) for i in range(40)
    ]
    corpus = read(write_csv(tmp_path / "a.csv", rows, encoding="cp1252"))
    assert sorted(corpus.texts) == sorted(text for text, _ in rows)


@pytest.mark.parametrize(
    ("name", "options", "found", "split"),
    [
        ("sms_spam/sms.tsv.gz", {"text": "1", "label": "0"}, {"ham": 4827, "spam": 747}, None),
        (
            "reuters_r8",
            {"text": "1", "label": "0"},
            {
                "acq": 2292,
                "crude": 374,
                "earn": 3923,
                "grain": 51,
                "interest": 271,
                "money-fx": 293,
                "ship": 144,
                "trade": 326,
            },
            2189,
        ),
    ],
)
def test_published_tables(name, options, found, split):
    if not (DATA / name).exists():
        pytest.skip(f"there is no {DATA / name}")
    corpus = read(DATA / name, **options)
    assert corpus.found == found
    assert (corpus.split.count("test") if corpus.split else None) == split


def test_banking77():
    if not (DATA / "banking77").exists():
        pytest.skip(f"there is no {DATA / 'banking77'}")
    corpus = read(DATA / "banking77", label="category")
    assert len(corpus.classes) == 77 and sum(corpus.found.values()) == 13_083
    assert corpus.split.count("test") == 3080


def test_the_error_of_json_names_the_position(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "x", "label": "a"}) + "\n\n{broken\n")
    with pytest.raises(ConfigurationError, match="line 3"):
        read(path)
