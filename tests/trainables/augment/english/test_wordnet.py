import shutil

import nltk
import pytest

from tests.trainables.augment.contract import OperatorContract
from tests.trainables.augment.toy import toy_text
from tests.trainables.augment.wordnet_files import synonyms_of, write_wordnet
from trainables.augment.english.changed import changed_words
from trainables.augment.english.inflection import has_plural, inflected
from trainables.augment.english.wordnet import load_wordnet
from trainables.augment.operators.eda import Eda
from trainables.augment.operators.substitution import UNSURE_TIER
from trainables.augment.operators.wordnet_synonyms import Synonyms, WordNetSynonyms
from trainables.augment.registry import make_operator, operator_identity, why_unavailable
from trainables.errors import ConfigurationError
from trainables.settings import EncoderSettings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_wordnet(tmp_path_factory.mktemp("wordnet"))


@pytest.fixture(scope="module")
def synonyms(folder):
    return Synonyms(load_wordnet(str(folder)))


class WithSynonyms:
    @pytest.fixture(autouse=True)
    def _synonyms(self, synonyms):
        self.synonyms = synonyms


class TestWordNetSynonyms(WithSynonyms, OperatorContract):
    def make(self, strength):
        return WordNetSynonyms(self.synonyms, strength)


class TestEda(WithSynonyms, OperatorContract):
    keeps_spacing = False

    def make(self, strength):
        return Eda(self.synonyms, strength)

    def test_each_augmentation_takes_one_of_four_ways(self):
        text = toy_text(2, n_words=40, fixed=False)
        lengths = [len(self.augment(text, seed, 0.2).split()) for seed in range(60)]
        assert max(lengths) == 48
        assert min(lengths) < 40
        same = [self.augment(text, seed, 0.2) for seed in range(60) if lengths[seed] == 40]
        swapped = [sorted(one.lower().split()) == sorted(text.lower().split()) for one in same]
        assert any(swapped) and not all(swapped)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("movie", {"film", "picture", "feature"}),
        ("movies", {"films", "pictures", "features"}),
        ("absorbed", {"soaked", "ingested", "imbibed"}),
        ("absorbing", {"soaking", "ingesting", "imbibing"}),
        ("begin", {"start", "commence"}),
        ("began", {"started", "commenced"}),
        ("hemodialysis", {"haemodialysis"}),
        ("function", {"mapping"}),
    ],
)
def test_synonyms_come_in_the_form_of_the_word(synonyms, word, expected):
    assert set(synonyms[word].words) == expected


def test_a_synonym_that_is_seldom_used_in_the_sense_is_not_the_first_choice(synonyms):
    assert synonyms["function"].tier == 0
    assert "map" not in synonyms["function"].words
    assert synonyms["map"].tier == 0
    assert set(synonyms["map"].words) == {"chart"}


@pytest.mark.parametrize("word", ["xylophone", "the", "mg", "CYP3A4", "men"])
def test_unknown_and_protected_words_have_no_synonyms(synonyms, word):
    assert synonyms[word] is None


def test_a_word_that_nobody_tagged_is_not_written(synonyms):
    assert synonyms["elimination"].words == ("eliminations",)
    assert synonyms["elimination"].inflections


def test_a_form_with_a_choice_is_left_out(synonyms):
    assert set(synonyms["commenced"].words) == {"started"}  # "began" and "begun" leave a choice


def test_all_words_written_are_synonyms(synonyms):
    text = toy_text(1, n_words=60, fixed=False)
    made = WordNetSynonyms(synonyms, 0.5).augment_batch([text], [0])[0]
    assert changed_words(text, made) == 30
    for before, after in zip(text.lower().split(), made.lower().split(), strict=True):
        assert before == after or after.strip(".,") in synonyms_of(before.strip(".,"))


def test_a_folder_without_wordnet_is_said_so(tmp_path):
    for name in ("wordnet_synonyms", "eda"):
        options = {"directory": str(tmp_path)}
        assert str(tmp_path) in str(why_unavailable(name, options))
        with pytest.raises(ConfigurationError, match="no WordNet database"):
            make_operator(name, 0.1, EncoderSettings(), options)


@pytest.mark.parametrize("name", ["wordnet_synonyms", "eda"])
def test_another_edition_of_wordnet_is_another_operator_to_caches(name, tmp_path):
    one, same, other = (write_wordnet(tmp_path / edition) for edition in ("one", "same", "other"))
    with (other / "noun.exc").open("a") as file:
        file.write("geese goose\n")
    identity = [operator_identity(name, {"directory": str(folder)}) for folder in (one, same, other)]
    assert identity[0] == identity[1] != identity[2]
    with pytest.raises(ConfigurationError, match="no WordNet database"):
        operator_identity(name, {"directory": str(tmp_path)})


def test_without_any_wordnet_the_ways_to_get_it_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    monkeypatch.setattr("trainables.augment.english.wordnet._DEBIAN", tmp_path)
    reason = why_unavailable("wordnet_synonyms")
    assert "nltk.downloader wordnet" in reason
    assert "wordnet-base" in reason
    assert "NLTK_DATA" in reason


@pytest.mark.parametrize("zipped", [False, True])
def test_nltks_data_is_found_unpacked_and_zipped(tmp_path, monkeypatch, zipped):
    write_wordnet(tmp_path / "corpora" / "wordnet")
    if zipped:
        shutil.make_archive(str(tmp_path / "corpora" / "wordnet"), "zip", tmp_path / "corpora", "wordnet")
        shutil.rmtree(tmp_path / "corpora" / "wordnet")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    load_wordnet.cache_clear()
    try:
        assert why_unavailable("eda") is None
        assert load_wordnet().has("orchard", "noun")
        assert not load_wordnet().has("dog", "noun")
    finally:
        load_wordnet.cache_clear()


def test_debians_package_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    monkeypatch.setattr("trainables.augment.english.wordnet._DEBIAN", write_wordnet(tmp_path / "debian"))
    load_wordnet.cache_clear()
    try:
        assert [sense.lemmas for sense in load_wordnet().senses("yard", "noun")] == [
            ["garden", "yard", "orchard"]
        ]
    finally:
        load_wordnet.cache_clear()


@pytest.mark.parametrize(
    ("lemma", "part", "form", "irregular", "expected"),
    [
        ("dose", "noun", "s", [], "doses"),
        ("study", "noun", "s", [], "studies"),
        ("box", "noun", "s", [], "boxes"),
        ("analysis", "noun", "s", ["analyses"], "analyses"),
        ("index", "noun", "s", ["indexes", "indices"], None),
        ("stop", "verb", "ed", ["stopped", "stopping"], "stopped"),
        ("stop", "verb", "ing", ["stopped", "stopping"], "stopping"),
        ("give", "verb", "s", ["gave", "given"], "gives"),
        ("give", "verb", "ed", ["gave", "given"], None),
        ("lie", "verb", "ing", ["lay", "lain", "lying"], "lying"),
        ("see", "verb", "ing", [], "seeing"),
        ("take", "verb", "ing", [], "taking"),
        ("be", "verb", "s", [], None),
        ("carry", "verb", "ed", [], "carried"),
        ("play", "verb", "ed", [], "played"),
    ],
)
def test_inflection(lemma, part, form, irregular, expected):
    assert inflected(lemma, part, form, irregular) == expected


def test_words_of_a_doubtful_part_of_speech_come_last(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "w")
    index = tmp_path / "w" / "index.noun"
    index.write_text(index.read_text() + "soak n 1 0 1 1 00000039  \n")
    counts = tmp_path / "w" / "cntlist.rev"
    counts.write_text(counts.read_text() + "soak%1:00:00:: 1 2\n")
    assert Synonyms(load_wordnet(str(tmp_path / "w")))["soaked"].tier == 0
    assert Synonyms(load_wordnet(str(tmp_path / "w")))["soak"].tier == UNSURE_TIER


def test_a_synonym_is_inserted_beside_its_own_word(synonyms):
    made = {Eda(synonyms, 0.2).augment_batch(["xylophone quasar movie xylophone"], [i])[0] for i in range(60)}
    longer = {one for one in made if len(one.split()) == 5}
    assert longer
    assert longer <= {f"xylophone quasar movie {other} xylophone" for other in synonyms_of("movie")}


def test_what_is_not_counted_has_no_plural():
    assert not has_plural("denseness") and not has_plural("kinetics") and has_plural("dose")


def test_a_verb_that_lists_a_doubled_ing_alone_has_no_regular_past():
    assert inflected("hit", "verb", "ed", ["hitting"]) is None
    assert inflected("hit", "verb", "ing", ["hitting"]) == "hitting"
