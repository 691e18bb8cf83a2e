"""Labels that look alike: told, and merged where that is asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainables.corpora.tables import write_csv
from trainables.corpora.own_tables.alike import alike, look
from trainables.corpora.registry import read_corpus


def read(path, **options):
    return read_corpus("tabular", str(path), text="text", label="label", **options)


def table(tmp_path, labels):
    return write_csv(tmp_path / "a.csv", [(f"text number {i}", name) for i, name in enumerate(labels)])


ALIKE = [
    ("spam", "spam\u200b"),
    ("spam", "\ufeffspam"),
    ("spam", "Spam"),
    ("not spam", "not  spam"),
    ("not spam", "not\u00a0spam"),
    ("1", "1.0"),
    ("1", "01"),
    ("TRUE", "True"),
    ("nan", "null"),
    ("caf\u00e9", "cafe\u0301"),
    ("no-go", "no\u2013go"),
    ("don't", "don\u2019t"),
    ("ham", "h\u0430m"),  # a Cyrillic letter
    ("ABC", "\uff21\uff22\uff23"),  # full width
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_labels_that_look_alike_are_told(tmp_path, one, other):
    corpus = read(table(tmp_path, [one, one, other, "else"]))
    assert len(corpus.classes) == 3
    (remark,) = corpus.remarks
    assert f"{one!a} (2)" in remark and f"{other!a} (1)" in remark and "--merge-alike" in remark


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_labels_that_look_alike_are_merged_where_asked(tmp_path, one, other):
    corpus = read(table(tmp_path, [other, one, one, "else"]), merge_alike=True)
    assert corpus.class_counts() == corpus.found == {one: 3, "else": 1}
    assert [corpus.classes[i] for i in corpus.labels].count("else") == 1
    (remark,) = corpus.remarks
    assert "were made one class" in remark and ascii(other) in remark


def test_a_text_with_two_labels_that_look_alike_is_no_conflict_once_merged(tmp_path):
    rows = [("one text", "spam"), ("one text", "Spam"), ("another text", "ham")]
    path = write_csv(tmp_path / "a.csv", [*rows, ("a third text", "spam")])
    assert read(path).left_out == {"duplicate with another label": 2}
    assert read(path, merge_alike=True).class_counts() == {"ham": 1, "spam": 2}


def test_merging_what_does_not_look_alike_changes_nothing(tmp_path):
    path = table(tmp_path, ["1", "2", "10", "x²", "x2", "-1", "CO", "C0"])
    assert read(path, merge_alike=True).digest == read(path).digest
    assert read(path).remarks == read(path, merge_alike=True).remarks == ()


def test_a_label_that_reads_like_a_missing_one_is_told(tmp_path):
    (remark,) = read(table(tmp_path, ["a", "b", "nan"])).remarks
    assert "1 rows have the label 'nan'" in remark or "1 row has the label 'nan'" in remark
    assert read(table(tmp_path, ["a", "none", "a"])).remarks == ()


@given(st.text(min_size=1).filter(lambda label: label.isprintable() and label.strip()))
def test_case_and_spaces_never_count(label):
    assert look(f" {label} ") == look(label) == look(look(label))


def test_all_that_look_alike_stand_together():
    assert alike(["b", "A", "a", "a "]) == [["A", "a", "a "]]
