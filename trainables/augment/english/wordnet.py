"""Read WordNet's database files, from NLTK's data or from Debian's ``wordnet-base``.

The format is that of WordNet 3.0 (wndb(5WN)): an index per part of speech, which gives the synsets of a lemma
from the most frequent sense down, data files that synsets point into by byte, and counts of tagged senses.

NLTK's own reader asks for a file ``lexnames``, which Debian's package lacks, adds the senses of a word's base form
to those of the word, and takes seconds to load.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from trainables.errors import ConfigurationError

_DEBIAN = Path("/usr/share/wordnet")
NOUN, VERB, ADJECTIVE, ADVERB = _PARTS = ("noun", "verb", "adj", "adv")
_SENSE_TYPES = {"1": NOUN, "2": VERB, "3": ADJECTIVE, "4": ADVERB, "5": ADJECTIVE}
_NEEDED = ("cntlist.rev", *(f"{kind}.{part}" for kind in ("index", "data") for part in _PARTS))
_EXCEPTIONS = {NOUN: "noun.exc", VERB: "verb.exc"}


class Sense(NamedTuple):
    """A synset that a lemma belongs to."""

    synset: int
    lemmas: list[str]


class WordNet:
    """Synsets, counts of tagged senses and irregular forms.

    Parameters
    ----------
    read
        Returns the bytes of a database file, given its name.
    """

    def __init__(self, read: Callable[[str], bytes]) -> None:
        self._data = {part: read(f"data.{part}") for part in _PARTS}
        self._index = {part: _entries(read(f"index.{part}")) for part in _PARTS}
        self._counts: dict[tuple[str, str], int] = defaultdict(int)
        for line in read("cntlist.rev").decode("ascii").splitlines():
            key, _, count = line.split()
            lemma, _, rest = key.partition("%")
            self._counts[lemma, _SENSE_TYPES[rest[0]]] += int(count)
        self._bases = {part: _exceptions(read(name)) for part, name in _EXCEPTIONS.items()}
        self._irregular: dict[tuple[str, str], list[str]] = defaultdict(list)
        for part, bases in self._bases.items():
            for form, lemmas in bases.items():
                for lemma in lemmas:
                    self._irregular[lemma, part].append(form)

    def has(self, lemma: str, part: str) -> bool:
        """Return whether a lemma is listed as a part of speech."""
        return lemma.encode() in self._index[part]

    def count(self, lemma: str, part: str) -> int:
        """Return how often a lemma was tagged as a part of speech in the corpora behind WordNet."""
        return self._counts.get((lemma, part), 0)

    def senses(self, lemma: str, part: str) -> list[Sense]:
        """Return the senses of a lemma, most frequent first."""
        fields = self._index[part].get(lemma.lower().encode(), b"").split()
        if not fields:
            return []
        n_synsets, n_pointers = int(fields[1]), int(fields[2])
        offsets = fields[5 + n_pointers : 5 + n_pointers + n_synsets]
        return [Sense(int(offset), self._lemmas(part, int(offset))) for offset in offsets]

    def irregular(self, lemma: str, part: str) -> list[str]:
        """Return the irregular forms of a noun or verb."""
        return self._irregular.get((lemma, part), [])

    def irregular_bases(self, form: str, part: str) -> list[str]:
        """Return the lemmas of which a word is an irregular form."""
        return self._bases[part].get(form, []) if part in self._bases else []

    def _lemmas(self, part: str, offset: int) -> list[str]:
        data = self._data[part]
        fields = data[offset : data.index(b"\n", offset)].split()
        words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
        return [word.decode("ascii").partition("(")[0] for word in words]  # "galore(ip)"


def _entries(index: bytes) -> dict[bytes, bytes]:
    lines = (line.partition(b" ") for line in index.splitlines() if not line.startswith(b" "))
    return {lemma: rest for lemma, _, rest in lines}


def _exceptions(listing: bytes) -> dict[str, list[str]]:
    lines = (line.split() for line in listing.decode("ascii").splitlines())
    return {fields[0]: fields[1:] for fields in lines if fields}


def why_no_wordnet(directory: str | None = None) -> str | None:
    """Return why WordNet cannot be read, and how to get it; None where it can."""
    if _reader(directory) is not None:
        return None
    if directory is not None:
        return f"{directory} holds no WordNet database: {', '.join(_NEEDED)} and the .exc files were expected there"
    return (
        "WordNet was found neither in NLTK's data nor in /usr/share/wordnet: run `python -m nltk.downloader wordnet`, "
        "set NLTK_DATA to a folder that has corpora/wordnet, or install Debian's package wordnet-base"
    )


@lru_cache(maxsize=1)
def load_wordnet(directory: str | None = None) -> WordNet:
    """Return WordNet from a folder, else from NLTK's search path, else from Debian's package.

    Raises
    ------
    ConfigurationError
        It is in none of them.
    """
    return WordNet(_readable(directory))


@lru_cache(maxsize=1)
def wordnet_digest(directory: str | None = None) -> str:
    """Return a digest of the files that :func:`load_wordnet` reads: two editions make two sets of synonyms.

    Raises
    ------
    ConfigurationError
        As in :func:`load_wordnet`.
    """
    read = _readable(directory)
    whole = hashlib.sha256()
    for name in (*_NEEDED, *_EXCEPTIONS.values()):
        whole.update(hashlib.sha256(read(name)).digest())
    return whole.hexdigest()[:16]


def _readable(directory: str | None) -> Callable[[str], bytes]:
    read = _reader(directory)
    if read is None:
        raise ConfigurationError(str(why_no_wordnet(directory)))
    return read


def _reader(directory: str | None) -> Callable[[str], bytes] | None:
    if directory is not None:
        return _folder_reader(Path(directory))
    return _nltk_reader() or _folder_reader(_DEBIAN)


def _folder_reader(folder: Path) -> Callable[[str], bytes] | None:
    if not all((folder / name).is_file() for name in _NEEDED):
        return None
    return lambda name: (folder / name).read_bytes()


def _nltk_reader() -> Callable[[str], bytes] | None:
    import nltk

    for place in ("corpora/wordnet", "corpora/wordnet.zip/wordnet/"):
        try:
            root = nltk.data.find(place)
        except LookupError:
            continue
        return _pointer_reader(root)
    return None


def _pointer_reader(root: Any) -> Callable[[str], bytes]:
    def read(name: str) -> bytes:
        with root.join(name).open() as stream:
            content: bytes = stream.read()
        return content

    return read
