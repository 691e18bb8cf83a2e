"""SST-2, 20 Newsgroups and TREC in the formats in which they are published, with invented rows."""

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import ClassVar

import pytest

from tests.trainables.corpora.contract import ReaderContract
from trainables.corpora.drug_labels.sample import generate_sample
from trainables.corpora.published import newsgroups20, sst2, trec
from trainables.corpora.registry import read_corpus
from trainables.errors import ConfigurationError

DATA = Path(__file__).parents[5] / "shared" / "data"


def texts(n=90):
    return [" ".join(text.split()).replace("\t", " ") for text in generate_sample(n + 60).texts[:n]]


class ContrivedContract(ReaderContract):
    name: str

    def rows(self):
        """Return (part, class, text) with no text twice in train."""
        return [
            (("train", "train", "test")[i % 3], self.classes[i % len(self.classes)], text)
            for i, text in enumerate(texts())
        ]

    def lay(self, folder, rows):
        raise NotImplementedError

    def bad(self, folder):
        raise NotImplementedError

    def _read(self, folder, rows):
        folder.mkdir()
        self.lay(folder, rows)
        return read_corpus(self.name, str(folder))

    def read(self, tmp_path):
        return self._read(tmp_path / "rows", self.rows())

    def read_reordered(self, tmp_path):
        return self._read(tmp_path / "reordered", self.rows()[::-1])

    def read_with_bad_rows(self, tmp_path):
        self._read(tmp_path / "dirty", [*self.rows(), self.rows()[0]])
        self.bad(tmp_path / "dirty")
        return read_corpus(self.name, str(tmp_path / "dirty"))


class TestTrec(ContrivedContract):
    name, classes = "trec", trec.COARSE
    bad_rows: ClassVar = {trec.NOT_A_QUESTION: 2, "duplicate in the same group": 1}

    def lay(self, folder, rows):
        for part, file in (("train", "train_5500.label"), ("test", "TREC_10.label")):
            lines = [f"{name}:kind {text}\n" for where, name, text in rows if where == part]
            (folder / file).write_text("".join(lines), encoding="latin-1")

    def bad(self, folder):
        with (folder / "TREC_10.label").open("a") as file:
            file.write("no label here\nXYZ:kind What is this ?\n\n")


class TestSst2(ContrivedContract):
    name, classes = "sst2", sst2.CLASSES
    bad_rows: ClassVar = {sst2.NOT_LABELLED: 2, "duplicate in the same group": 1}

    def lay(self, folder, rows):
        for part in ("train", "dev", "test"):
            lines = [f"{text}\t{self.classes.index(name)}\n" for where, name, text in rows if where == part]
            lines = lines or ["a film\t1\n", "a bore\t0\n"]
            (folder / f"sentences_{part}.tsv.gz").write_bytes(gzip.compress("".join(lines).encode()))

    def bad(self, folder):
        path = folder / "sentences_train.tsv.gz"
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"no label\nneither\t2\n"))


class TestNewsgroups20(ContrivedContract):
    name, classes = "newsgroups20", newsgroups20.CLASSES
    bad_rows: ClassVar = {newsgroups20.NOT_A_POST: 2, "duplicate in the same group": 1}

    def lay(self, folder, rows):
        lines = [
            json.dumps({"split": part, "label": name, "text": f"From: a@b\nSubject: Re: {text}\n\n{text}"})
            for part, name, text in rows
        ]
        (folder / "posts.jsonl").write_text("\n".join(lines) + "\n")

    def bad(self, folder):
        with (folder / "posts.jsonl").open("a") as file:
            file.write('[1]\n{"split": "train", "label": "alt.nothing", "text": "x"}\n')


def test_trees_give_the_label_of_their_root_and_neutral_ones_are_left_out(tmp_path):
    trees = {
        "train": "(3 (2 A) (4 (3 fine) (2 film)))\n(1 (2 -LRB-) (0 dull))\n(2 (2 so) (2 so))\n",
        "dev": "(4 (2 Quite) (3 good))\n",
        "test": "(0 (2 Quite) (1 bad))\n",
    }
    with zipfile.ZipFile(tmp_path / "trees.zip", "w") as archive:
        for part, lines in trees.items():
            archive.writestr(f"trees/{part}.txt", lines)
    corpus = read_corpus("sst2", str(tmp_path / "trees.zip"))
    rows = set(zip(corpus.texts, corpus.labels.tolist(), corpus.split, strict=True))
    assert rows == {
        ("A fine film", 1, "train"),
        ("( dull", 0, "train"),
        ("Quite good", 1, "validation"),
        ("Quite bad", 0, "test"),
    }
    assert corpus.left_out == {sst2.NEUTRAL: 1}


def test_glue_without_labels_in_its_test_set_is_tested_on_dev(tmp_path):
    (tmp_path / "train.tsv").write_text("sentence\tlabel\nfine \t1\ndull \t0\n")
    (tmp_path / "dev.tsv").write_text("label\tcontent\n1\tlovely\n")
    (tmp_path / "test.tsv").write_text("index\tsentence\n0\twho knows\n")
    corpus = read_corpus("sst2", str(tmp_path), units="phrases")
    assert sorted(zip(corpus.texts, corpus.split, strict=True)) == [
        ("dull", "train"),
        ("fine", "train"),
        ("lovely", "test"),
    ]


def test_the_published_archive_of_newsgroups(tmp_path):
    path = tmp_path / "archive without an ending"
    with tarfile.open(path, "w:gz") as bundle:
        for part in ("train", "test"):
            content = f"From: me\nSubject: Re: {part}\n\nWhich tyres?\xe9".encode("latin-1")
            entry = tarfile.TarInfo(f"20news-bydate-{part}/rec.autos/101")
            entry.size = len(content)
            bundle.addfile(entry, io.BytesIO(content))
        bundle.addfile(tarfile.TarInfo("../../20news-bydate-train/rec.autos/../../../passwd"))
    corpus = read_corpus("newsgroups20", str(path))
    assert sorted(corpus.texts) == ["test\nWhich tyres?é", "train\nWhich tyres?é"]
    assert "From: me" in read_corpus("newsgroups20", str(path), headers="keep").texts[0]


@pytest.mark.parametrize("name", ["sst2", "trec", "newsgroups20", "imdb"])
@pytest.mark.parametrize(
    ("content", "message"),
    [(b"PK\x03\x04", "input"), (b"nothing of the kind", "expected"), (b"", "expected")],
)
def test_other_files_are_explained(tmp_path, name, content, message):
    path = tmp_path / "input.zip"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_corpus(name, str(path))
    assert str(path) in str(caught.value)
    with pytest.raises(ConfigurationError, match="no such file"):
        read_corpus(name, str(tmp_path / "absent"))


@pytest.mark.parametrize(
    ("name", "options"),
    [("sst2", {"units": "x"}), ("trec", {"labels": "x"}), ("newsgroups20", {"headers": "x"})],
)
def test_unknown_options_are_refused(name, options):
    with pytest.raises(ConfigurationError, match="'x': expected one of"):
        read_corpus(name, "anything", **options)


def test_a_member_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("trainables.corpora.published.files._MAX_FILE", 1000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.txt", "NUM:dist x\n" * 100_000)
    with pytest.raises(ConfigurationError, match="larger than any file of this data set"):
        read_corpus("trec", str(tmp_path / "a.zip"))


@pytest.mark.parametrize(
    ("name", "options", "total", "parts", "classes"),
    [
        ("sst2", {}, 9613, {"validation": 872, "test": 1821}, {"negative": 4650, "positive": 4963}),
        ("sst2", {"units": "phrases"}, 70_042, {"validation": 872, "test": 1821}, {"negative": 31120}),
        ("newsgroups20", {}, 18_846, {"test": 7532}, {"alt.atheism": 799, "talk.religion.misc": 628}),
        pytest.param(
            *("imdb", {}, 50_000, {"test": 25_000}, {"negative": 25_000, "positive": 25_000}),
            marks=pytest.mark.slow,
        ),
        ("trec", {}, 5952, {"test": 500}, {"ABBR": 95, "ENTY": 1344, "HUM": 1288}),
        ("trec", {"labels": "fine"}, 5952, {"test": 500}, {"NUM:ord": 6}),
    ],
)
def test_published_files(name, options, total, parts, classes):
    if not (DATA / name).exists():
        pytest.skip(f"there is no {DATA / name}")
    corpus = read_corpus(name, str(DATA / name), **options)
    assert sum(corpus.found.values()) == total
    assert {part: corpus.split.count(part) for part in parts} == parts
    assert {**corpus.found, **classes} == corpus.found
