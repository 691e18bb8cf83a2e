import numpy as np
import pytest

from tests.trainables.augment.toy import CLUSTERS, embeddings, table, vocabulary
from trainables.augment.english.opposites import are_opposed
from trainables.augment.english.word_forms import differ_in_number, ending, share_stem
from trainables.augment.models.vocabulary import whole_words
from trainables.augment.operators.embedding_neighbours import EmbeddingNeighbours
from trainables.augment.operators.neighbours import NeighbourTable


def test_substitutes_are_those_of_a_plain_search():
    entries = whole_words(vocabulary())
    units = embeddings() / np.linalg.norm(embeddings(), axis=1, keepdims=True)
    for word in ["movie", "doctor", "garden", "house"]:
        cosines = {
            other: float(units[entries[word]] @ units[i]) for other, i in entries.items() if other != word
        }
        best = sorted(cosines, key=cosines.__getitem__, reverse=True)[:2]
        assert NeighbourTable(entries, embeddings(), top_k=2, floor=0.5)[word].words == tuple(best)


def test_asking_together_or_alone_gives_the_same():
    together, alone = table(), table()
    words = [word for cluster in CLUSTERS for word in cluster.split()]
    together.compute(words)
    for word in reversed(words):
        assert together[word] == alone[word]


def test_opposites_are_no_substitutes():
    assert set(table()["increased"].words) == {"heightened"}
    assert set(table()["decreased"].words) == {"reduced"}


def test_number_alone_is_the_last_resort():
    assert table()["tree"].words == ("trees",)
    assert table()["tree"].inflections
    assert not table()["movie"].inflections
    assert set(table()["movie"].words) == {"film", "picture", "feature"}


def test_a_word_without_neighbours_or_outside_the_vocabulary_has_none():
    assert table()["xylophone"] is None
    assert table()["pharmacokinetics"] is None


def test_nearer_substitutes_are_drawn_more_often():
    weights = np.diff([0, *table()["movie"].cumulated])
    assert (np.diff(weights) <= 0).all()


def test_the_calibrated_floor_gives_the_asked_for_density():
    rng = np.random.default_rng(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [a + b + c for a in letters for b in letters for c in "xyz"]
    entries = {word: i for i, word in enumerate(words)}
    matrix = rng.normal(size=(len(words), 16)).astype(np.float32)
    floor = NeighbourTable(entries, matrix, density=5).floor
    units = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    above = ((units @ units.T) >= floor).sum(axis=1) - 1
    assert above.mean() == pytest.approx(5, rel=0.2)


@pytest.mark.parametrize(
    "vocabulary",
    [
        {"[CLS]": 0, "movie": 1, "##movies": 2, "4th": 3, "ab": 4, "the": 5, "mg": 6, "film": 7},
        {
            "<s>": 0,
            "Ġmovie": 1,
            "movies": 2,
            "Ġ4th": 3,
            "Ġab": 4,
            "Ġthe": 5,
            "Ġmg": 6,
            "Ġfilm": 7,
            "ĠFilm": 8,
        },
        {"<s>": 0, "▁movie": 1, "movies": 2, "▁4th": 3, "▁ab": 4, "▁the": 5, "▁mg": 6, "▁film": 7, "▁": 8},
        {"<s>": 0, "Ġmovie": 1, "ĠFilm": 3, "Ġfilm": 7},
    ],
)
def test_whole_words_of_all_kinds_of_tokenizers(vocabulary):
    assert whole_words(vocabulary, ["[CLS]", "<s>"]) == {"movie": 1, "film": 7}


@pytest.mark.parametrize(
    ("word", "other", "expected"),
    [
        ("increased", "decreased", True),
        ("decreased", "increased", True),
        ("good", "bad", True),
        ("known", "unknown", True),
        ("careful", "careless", True),
        ("useless", "useful", True),
        ("safety", "unsafe", True),
        ("fails", "succeeds", True),
        ("thin", "thicker", True),
        ("eastern", "western", True),
        ("film", "movie", False),
        ("increased", "heightened", False),
        ("ill", "full", False),
    ],
)
def test_opposites(word, other, expected):
    assert are_opposed(word, other) == expected


def test_word_forms():
    assert [ending(w) for w in ["studied", "studies", "rapidly", "dosing", "dose", "plus", "red", "bus"]] == [
        "ed", "s", "ly", "ing", "", "", "", ""
    ]  # fmt: skip
    assert differ_in_number("dose", "doses")
    assert differ_in_number("studies", "study")
    assert not differ_in_number("dose", "dosing")
    assert not differ_in_number("dose", "dose")
    assert share_stem("metabolism", "metabolic")
    assert share_stem("absorption", "absorb")
    assert share_stem("effect", "affect")
    assert share_stem("said", "say")
    assert share_stem("strong", "strength")
    assert not share_stem("kidney", "renal")
    assert not share_stem("movie", "film")


def test_other_numbers_are_left_to_strengths_that_need_them():
    text = "tree movie quasar tree tree tree tree tree tree tree"
    for strength, expected in ((0.2, False), (0.5, True)):
        made = EmbeddingNeighbours(table(), strength).augment_batch([text], [0])[0]
        assert ("trees" in made) == expected
    assert "trees" in EmbeddingNeighbours(table(), 0.2).augment_batch(["tree quasar"], [0])[0]
