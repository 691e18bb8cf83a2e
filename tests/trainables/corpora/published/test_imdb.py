"""The movie reviews as the published folder and archive and as JSON Lines, with invented rows."""

import gzip
import hashlib
import io
import json
import tarfile
from typing import ClassVar

import pytest

from tests.trainables.corpora.published.test_contrived import ContrivedContract
from tests.trainables.corpora.published.test_download import server  # noqa: F401
from trainables.corpora.published import imdb
from trainables.corpora.registry import read_corpus
from trainables.errors import ConfigurationError

SHORT = {"negative": "neg", "positive": "pos"}
CELLS = [(part, name) for part in ("train", "test") for name in ("neg", "pos")]


def lay_files(folder, reviews):
    """Write {name: text} as files."""
    for name, text in reviews.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def one_of_each(**more):
    return {
        f"{part}/{name}/0_{stars}.txt": f"{part} {name} {stars}" for part, name in CELLS for stars in [7]
    } | more


def packed(reviews):
    """Return a tar.gz of {name: text}."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as bundle:
        for name, text in reviews.items():
            entry, content = tarfile.TarInfo(f"aclImdb/{name}"), text.encode()
            entry.size = len(content)
            bundle.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def rows_of(corpus):
    return sorted(zip(corpus.split, corpus.labels.tolist(), corpus.texts, strict=True))


class TestImdb(ContrivedContract):
    name, classes = "imdb", imdb.CLASSES
    bad_rows: ClassVar = {imdb.NOT_A_REVIEW: 2, imdb.NOT_UTF8: 1, "duplicate in the same group": 1}

    def lay(self, folder, rows):
        lay_files(
            folder, {f"{part}/{SHORT[name]}/{i}_3.txt": text for i, (part, name, text) in enumerate(rows)}
        )

    def bad(self, folder):
        lay_files(folder, {"train/pos/notes.txt": "a", "train/neg/._0_3.txt": "b", "train/urls_pos.txt": "c"})
        (folder / "train" / "pos" / "999_3.txt").write_bytes(b"caf\xe9")


def test_folder_archive_and_json_lines_give_the_same_corpus(tmp_path):
    reviews = one_of_each(**{"train/pos/1_10.txt": "Two parts.<br /><br />Then \u00e9 one.<BR>End"})
    lay_files(tmp_path / "folder" / "aclImdb", reviews | {"train/unsup/0_0.txt": "no label"})
    (tmp_path / "reviews.tar.gz").write_bytes(packed(reviews | {"train/unsup/0_0.txt": "no label"}))
    (tmp_path / "lines").mkdir()
    for part in ("train", "test"):
        lines = [
            json.dumps(
                {"text": text, "label": name.split("/")[1], "id": int(name.split("/")[2].split("_")[0])}
            )
            for name, text in reviews.items()
            if name.startswith(part)
        ]
        (tmp_path / "lines" / f"{part}.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    corpora = [read_corpus("imdb", str(tmp_path / kind)) for kind in ("folder", "reviews.tar.gz", "lines")]
    assert len({corpus.digest for corpus in corpora}) == 1
    assert ("train", 1, "Two parts.\n\nThen \u00e9 one.\nEnd") in rows_of(corpora[0])
    assert all(corpus.left_out == {} and len(corpus) == 5 for corpus in corpora)


def test_one_file_of_json_lines_says_the_part_of_every_row(tmp_path):
    path = tmp_path / "reviews.jsonl"
    rows = [{"text": f"{part} {name}", "label": name, "split": part} for part, name in CELLS]
    path.write_text("\n".join(map(json.dumps, [*rows, {"text": "x", "label": "unsup", "split": "train"}, 5])))
    corpus = read_corpus("imdb", str(path))
    assert sorted(zip(corpus.split, corpus.texts, strict=True)) == sorted(
        (part, f"{part} {name}") for part, name in CELLS
    )
    assert corpus.left_out == {imdb.NOT_A_REVIEW: 2}


def test_equal_numbers_in_train_and_test_are_different_films_but_twice_in_one_place_is_once(tmp_path):
    lay_files(tmp_path / "one", one_of_each())
    lay_files(tmp_path / "copy of one", one_of_each())
    corpus = read_corpus("imdb", str(tmp_path))
    assert len(corpus) == 4 and corpus.left_out == {imdb.READ_TWICE: 4}


def test_missing_reviews_are_counted_in_a_remark(tmp_path):
    lay_files(tmp_path, one_of_each())
    (remark,) = read_corpus("imdb", str(tmp_path)).remarks
    assert "49,996 of the 50,000 published reviews were not found" in remark
    assert "12,499 positive ones in train" in remark


@pytest.mark.parametrize(
    ("lacks", "message"),
    [
        ("train/neg", "no negative ones in train"),
        ("test", "no negative ones in test and no positive ones in test"),
    ],
)
def test_a_part_without_a_class_is_named(tmp_path, lacks, message):
    lay_files(tmp_path, {name: text for name, text in one_of_each().items() if not name.startswith(lacks)})
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_corpus("imdb", str(tmp_path))
    assert str(tmp_path) in str(caught.value) and "train/pos, train/neg" in str(caught.value)


def test_a_cut_archive_a_broken_line_and_an_absent_path_are_explained(tmp_path):
    (tmp_path / "cut.tar.gz").write_bytes(packed(one_of_each())[:-60])
    with pytest.raises(ConfigurationError, match=r"cut\.tar\.gz: cannot be read.*is the file complete"):
        read_corpus("imdb", str(tmp_path / "cut.tar.gz"))
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": "pos"}\n{"text":')
    with pytest.raises(ConfigurationError, match=r"'train\.jsonl', line 2: not JSON"):
        read_corpus("imdb", str(tmp_path / "train.jsonl"))
    with pytest.raises(ConfigurationError, match="no such file or folder"):
        read_corpus("imdb", str(tmp_path / "absent"))


def test_links_and_members_outside_the_folders_are_passed_over(tmp_path):
    path = tmp_path / "reviews.tar.gz"
    with tarfile.open(path, "w:gz") as bundle:
        for name, text in one_of_each().items():
            entry = tarfile.TarInfo(f"../../aclImdb/{name}")
            entry.size = len(text)
            bundle.addfile(entry, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("aclImdb/train/pos/5_9.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        bundle.addfile(link)
        bundle.addfile(tarfile.TarInfo("aclImdb/README"))
    corpus = read_corpus("imdb", str(path))
    assert len(corpus) == 4 and corpus.left_out == {}


def test_without_data_the_published_archive_is_downloaded(server, monkeypatch):  # noqa: F811
    content = packed(one_of_each())
    server.content = content
    monkeypatch.setattr(imdb, "PUBLISHED", (f"{server.url}/served", hashlib.sha256(content).hexdigest()))
    assert len(read_corpus("imdb", None)) == 4 == len(read_corpus("imdb", None))
    assert server.requests == 1
