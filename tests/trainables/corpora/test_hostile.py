"""What is meant to harm a reader, or looks like it; many more such inputs are made by ``fuzz_readers``."""

import gzip

import pytest

from tests.trainables.corpora.fuzz_readers import KINDS, run
from trainables.corpora.registry import read_corpus
from trainables.errors import ConfigurationError


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files_give_a_corpus_or_a_configuration_error(kind):
    figures = run(60, seed=7, kinds=[kind])
    assert figures["crashes"] == []
    assert figures["kinds"][kind]["accepted"] > 0 and figures["kinds"][kind]["refused"] > 0


def test_a_compression_bomb_is_refused_before_it_unpacks(tmp_path, monkeypatch):
    monkeypatch.setattr("trainables.corpora.own_tables.text_files._BOMB_BYTES", 1 << 22)
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"text,label\n" + b"a,b\n" * (1 << 23)))
    with pytest.raises(
        ConfigurationError, match=r"bomb\.csv\.gz: \d+ bytes unpack to more than .*compression bomb"
    ):
        read_corpus("tabular", str(path), text="text", label="label")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 200_000, "nested deeper than 50 levels"),
        (b'{"meta": {}, "results": [' + b'{"a":' * 200_000, "nested deeper than 50 levels"),
        (b'{"set_id": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"meta": {}, "results": [{"version": ' + b"9" * 5000 + b"}]}", "not JSON"),
    ],
)
def test_records_that_once_took_all_memory_or_the_process(tmp_path, content, message):
    path = tmp_path / "labels.json"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        read_corpus("adme", str(path))


def test_errors_cannot_steer_a_terminal(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\x1b[2Jtext,label\nx,a\n")
    with pytest.raises(ConfigurationError) as caught:
        read_corpus("tabular", str(path), text="text", label="label")
    assert "\x1b" not in str(caught.value)
