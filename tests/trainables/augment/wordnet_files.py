"""Write a tiny dictionary in WordNet's file format, over the toy vocabulary."""

from tests.trainables.augment.toy import CLUSTERS

_TYPES = {"noun": ("n", 1), "verb": ("v", 2), "adj": ("a", 3), "adv": ("r", 4)}
_NOUNS = ("movie film picture feature", "doctor physician medic clinician", "house home dwelling residence",
          "garden yard orchard")  # fmt: skip
_ADJECTIVES = ("rapid swift brisk speedy", "happy glad cheerful merry", "renal nephric")
_ADVERBS = ("rapidly swiftly briskly speedily",)
_VERBS = ("begin start commence", "absorb soak ingest imbibe", "increase heighten", "decrease reduce")
# "map" is a synonym of "function" in a sense in which it is hardly used; nobody tagged "riddance".
_RARE = ("chart map", "function map mapping", "elimination riddance", "hemodialysis haemodialysis")


def write_wordnet(folder):
    """Write index, data, count and exception files; every lemma has been tagged three times but the rare ones."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = []
    for part, synsets in {
        "noun": (*_NOUNS, *_RARE), "verb": _VERBS, "adj": _ADJECTIVES, "adv": _ADVERBS,
    }.items():  # fmt: skip
        letter, number = _TYPES[part]
        data, senses = b"  1 This is the header of a data file.\n", {}
        for synset in synsets:
            words = synset.split()
            line = f"{len(data):08d} 00 {letter} {len(words):02x} " + " ".join(f"{w} 0" for w in words)
            for word in words:
                senses.setdefault(word, []).append(len(data))
            data += f"{line} 000 | a gloss\n".encode()
        index = "  1 This is the header of an index file.\n"
        for word, offsets in sorted(senses.items()):
            places = " ".join(f"{offset:08d}" for offset in offsets)
            index += f"{word} {letter} {len(offsets)} 0 {len(offsets)} 1 {places}  \n"
            if word not in ("riddance", "haemodialysis"):
                counts += [f"{word}%{number}:00:00:: 1 3"]
        (folder / f"data.{part}").write_bytes(data)
        (folder / f"index.{part}").write_text(index)
    (folder / "cntlist.rev").write_text("\n".join(counts) + "\n")
    (folder / "noun.exc").write_text("men man\n")
    (folder / "verb.exc").write_text("began begin\nbegun begin\nbeginning begin\n")
    return folder


def synonyms_of(word):
    """Return the toy cluster of a word without the word."""
    return next((set(cluster.split()) - {word} for cluster in CLUSTERS if word in cluster.split()), set())
