"""Classes with too few rows or groups: left out, merged or refused, counted, and always said."""

from __future__ import annotations

import numpy as np
import pytest

from trainables.corpora.corpus import Corpus
from trainables.corpora.leakage import split_corpus
from trainables.corpora.rare_classes import settle_rare_classes
from trainables.corpora.registry import read_corpus
from trainables.errors import ConfigurationError

LEAVE_OUT = {"rare_classes": "leave-out"}


def corpus_of(
    counts: dict[str, int], *, one_group: str = "", near: str = "", parts: dict[str, int] | None = None
):
    """A corpus of so many rows per class, of which one has all rows in one group, and one near-duplicates alone."""
    names = [name for name, n in counts.items() for _ in range(n)]
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{n}" for n in rng.integers(0, 5000, 12)) for _ in names]
    same = " ".join(f"v{n}" for n in range(80))
    texts = [
        f"{same} {i}" if name == near else text
        for i, (name, text) in enumerate(zip(names, texts, strict=True))
    ]
    classes = tuple(counts)
    return Corpus(
        texts=texts,
        labels=np.array([classes.index(name) for name in names]),
        groups=["g" if name == one_group else f"g{i}" for i, name in enumerate(names)],
        classes=classes,
        origins=[f"row {i}" for i in range(len(names))],
        source="a test",
        left_out={"no label": 3},
    )


def test_without_the_option_a_corpus_stays_as_it_is():
    corpus = corpus_of({"a": 20, "b": 2})
    assert settle_rare_classes(corpus, {}) is corpus
    assert settle_rare_classes(corpus_of({"a": 20, "b": 6}), LEAVE_OUT).remarks == ()


def test_rare_classes_are_left_out_counted_and_named():
    corpus = corpus_of({"a": 20, "z": 1, "b": 30, "y": 5, "empty": 0})
    settled = settle_rare_classes(corpus, LEAVE_OUT)
    assert settled.class_counts() == {"a": 20, "b": 30}
    assert settled.left_out == {"no label": 3, "row of a rare class": 6}
    assert settled.remarks == (
        "3 of 5 classes have fewer than 6 rows and are left out, 6 rows in all (--rare-classes leave-out): "
        "'empty' (0 rows), 'z' (1 row), 'y' (5 rows).",
    )
    kept = {(text, corpus.classes[label]) for text, label in zip(corpus.texts, corpus.labels, strict=True)}
    assert {
        (text, settled.classes[label]) for text, label in zip(settled.texts, settled.labels, strict=True)
    } <= kept
    assert settled.digest != corpus.digest
    split_corpus(settled, seed=0)


def test_rare_classes_become_one_class():
    settled = settle_rare_classes(
        corpus_of({"a": 20, "z": 3, "b": 30, "y": 5}), {"rare_classes": "merge:other"}
    )
    assert settled.class_counts() == {"a": 20, "b": 30, "other": 8}
    assert settled.left_out == {"no label": 3}
    assert "are merged into 'other', a class of 8 rows (--rare-classes merge:other)" in settled.remarks[0]


@pytest.mark.parametrize(
    ("counts", "into", "expected"),
    [
        ({"a": 20, "z": 1, "b": 30}, "b", {"a": 20, "b": 31}),  # a class that exists
        ({"a": 20, "z": 4, "b": 30, "y": 3}, "z", {"a": 20, "b": 30, "z": 7}),  # a rare one
        ({"a": 20, "z": 4, "b": 30, "y": 3}, " z ", {"a": 20, "b": 30, "z": 7}),
    ],
)
def test_a_class_that_exists_takes_the_others_in(counts, into, expected):
    settled = settle_rare_classes(corpus_of(counts), {"rare_classes": f"merge:{into}"})
    assert settled.class_counts() == expected
    assert f"into '{into.strip()}', which now has" in settled.remarks[0]


@pytest.mark.parametrize("kind", ["one_group", "near"])
@pytest.mark.parametrize("action", ["leave-out", "merge:b"])
def test_a_class_of_one_group_or_of_near_duplicates_alone_is_rare_whatever_its_rows(kind, action):
    corpus = corpus_of({"a": 40, "z": 50, "b": 40}, **{kind: "z"})
    with pytest.raises(ConfigurationError, match=r"1 of 3 classes has too few .*'z' \(50 rows in 1 group\)"):
        split_corpus(corpus, seed=0)
    settled = settle_rare_classes(corpus, {"rare_classes": action})
    assert settled.classes == ("a", "b")
    assert "1 of 3 classes has rows in too few groups for every part of a split and is" in settled.remarks[0]
    split_corpus(settled, seed=0)


def with_split(corpus: Corpus, parts: list[str]) -> Corpus:
    return Corpus(**{**vars(corpus), "split": parts})


def test_a_class_that_a_given_split_lacks_in_a_part_is_rare():
    corpus = corpus_of({"a": 20, "z": 20, "b": 20})
    parts = (
        ["train", "validation", "test", "train"] * 5
        + ["train", "validation"] * 10
        + ["test", "train"] * 5
        + ["validation"] * 10
    )
    corpus = with_split(corpus, parts)
    with pytest.raises(ConfigurationError, match=r"1 of 3 classes has fewer than 2 rows .*'z' \(0 in test\)"):
        split_corpus(corpus, seed=0)
    settled = settle_rare_classes(corpus, LEAVE_OUT)
    assert settled.classes == ("a", "b") and len(settled.split) == 40
    split_corpus(settled, seed=0)


def test_a_part_that_a_given_split_lacks_is_cut_from_the_classes_that_have_the_rows():
    corpus = corpus_of({"a": 20, "z": 20, "b": 20})
    parts = (
        (["train"] * 15 + ["test"] * 5) + (["train"] * 3 + ["test"] * 17) + (["train"] * 15 + ["test"] * 5)
    )
    settled = settle_rare_classes(with_split(corpus, parts), LEAVE_OUT)
    assert settled.classes == ("a", "b")
    split_corpus(settled, seed=0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"rare_classes": "refuse"},
            "1 of 3 classes has fewer than 6 rows: 'z' (3 rows). Give --rare-classes",
        ),
        ({"min_rows": "25"}, "2 of 3 classes have fewer than 25 rows: 'z' (3 rows), 'a' (20 rows). Give"),
        ({"min_rows": "25"}, "--rare-classes leave-out --min-rows 25 to study"),
        ({**LEAVE_OUT, "min_rows": 25}, "leaves 'b' alone, at least two classes are needed"),
        ({**LEAVE_OUT, "min_rows": 10**6}, "leaves no class, at least two classes are needed"),
        ({"rare_classes": "merge:x", "min_rows": 100}, "leaves 'x' alone"),
        (
            {"rare_classes": "merge:x"},
            "after --rare-classes merge:x, 1 of 3 classes has fewer than 6 rows: 'x' (3 row",
        ),
    ],
)
def test_what_leaves_no_study_is_refused_in_one_fault(options, expected):
    with pytest.raises(ConfigurationError) as caught:
        settle_rare_classes(corpus_of({"a": 20, "z": 3, "b": 30}), options)
    [fault] = caught.value.faults
    assert expected in fault


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"rare_classes": "merge:"}, "merge:NAME or refuse was expected"),
        ({"rare_classes": "merge: "}, "merge:NAME or refuse was expected"),
        ({"rare_classes": "merge:\udcff"}, "merge:NAME or refuse was expected"),
        ({"rare_classes": "drop"}, "leave-out, merge:NAME or refuse was expected"),
        ({"rare_classes": True}, "leave-out, merge:NAME or refuse was expected"),
        ({"min_rows": "5"}, "a whole number of at least 6"),
        ({"min_rows": "many"}, "a whole number of at least 6"),
        ({"min_rows": 7.5}, "a whole number of at least 6"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_read(options, expected):
    with pytest.raises(ConfigurationError, match=expected):
        read_corpus("tabular", "/nowhere.csv", text="a", label="b", **options)


def test_every_corpus_takes_the_option():
    plain = read_corpus("adme", "sample")
    least = sorted(plain.class_counts().values())[1]
    merged = read_corpus("adme", "sample", rare_classes="merge:other", min_rows=str(least))
    assert len(merged.classes) == len(plain.classes) - 1 and len(merged) == len(plain)
    assert merged.is_sample and merged.remarks


def test_a_class_that_is_rare_only_without_its_repeated_rows_is_rare(tmp_path):
    rows = [f"text number {i},common" for i in range(30)] + ["the same text,rare"] * 30
    rows += [f"another text {i} of words,second" for i in range(30)]
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "\n".join(rows))
    settled = read_corpus("tabular", str(path), text="text", label="label", rare_classes="leave-out")
    assert settled.classes == ("common", "second") and "'rare' (1 row)" in settled.remarks[-1]


def test_a_thousand_classes_make_one_short_remark():
    counts = {f"class {i}": 2 if i % 2 else 6 for i in range(1000)}
    settled = settle_rare_classes(corpus_of(counts), LEAVE_OUT)
    assert len(settled.classes) == 500 and len(settled.remarks[0]) < 500
    split_corpus(settled, seed=0)


@pytest.mark.parametrize("name", ["a\nb\tc", "\x1b[31mred", "\u202eabc", "x" * 300])
def test_names_in_remarks_stay_on_their_line_and_short(name):
    [remark] = settle_rare_classes(corpus_of({"a": 20, name: 2, "b": 20}), LEAVE_OUT).remarks
    assert len(remark) < 250 and remark.isprintable()
