"""Stanford Sentiment Treebank, positive against negative (Socher et al. 2013): whole sentences, or GLUE's phrases."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from trainables.corpora.corpus import Corpus
from trainables.corpora.left_out import LeftOut
from trainables.corpora.published.download import fetch
from trainables.corpora.published.files import published_files, text_lines
from trainables.corpora.rows import Row, build_corpus, own_group
from trainables.corpora.split import PARTS
from trainables.errors import ConfigurationError

CLASSES = ("negative", "positive")
UNITS = ("sentences", "phrases")
# Trees over sentences (root label 0 to 4, of which 2 is neutral); GLUE's table of phrases.
PUBLISHED = {
    "sentences": (
        "https://nlp.stanford.edu/sentiment/trainDevTestTrees_PTB.zip",
        "5c613a4f673fc74097d523a2c83f38e0cc462984d847b82c7aaf36b01cbbbfcc",
    ),
    "phrases": (
        "https://dl.fbaipublicfiles.com/glue/data/SST-2.zip",
        "d67e16fb55739c1b32cdce9877596db1c127dc322d93c082281f64057c16deaa",
    ),
}
NEUTRAL = "neutral sentence"
NOT_LABELLED = "line without a sentence and a label"

_SENTENCE_FILE = re.compile(r"sentences_(train|dev|test)\.tsv|(train|dev|test)\.txt")
_PHRASE_FILE = re.compile(r"(?:glue_)?(train|dev|test)(?:_labelled)?(?:\.label_first)?\.tsv")
_TEXT_NAMES = ("sentence", "content", "text")
_LEAF = re.compile(r"\(\d ([^()]+)\)")
_BRACKETS = {"-LRB-": "(", "-RRB-": ")"}


def read_sst2(data: str | None, *, units: str | None = None) -> Corpus:
    """Read SST-2 with its given split.

    Parameters
    ----------
    data
        Folder or archive; None downloads. Sentences: the trees ``train.txt``, ``dev.txt``, ``test.txt``, or
        ``sentences_train.tsv`` and so on, sentence and label. Phrases: GLUE's ``train.tsv`` and ``dev.tsv`` with a
        header, and a labelled ``test.tsv`` where there is one; without it, ``dev.tsv`` is the test set, as GLUE's own
        test set has no labels.
    units
        ``"sentences"`` (6,920, 872 and 1,821 rows) or ``"phrases"`` (67,349 and 872, 1,821 with a labelled test set).
        None takes sentences where there are any.

    Raises
    ------
    ConfigurationError
        For files that are missing, unreadable or of another format.
    """
    if units not in (None, *UNITS):
        raise ConfigurationError(f"units {units!r}: expected one of {', '.join(UNITS)}.")
    paths = [Path(data)] if data is not None else [fetch(*PUBLISHED[units or "sentences"])]
    source = data or f"the published SST-2 {units or 'sentences'}"
    files: dict[str, dict[str, tuple[str, bytes]]] = {unit: {} for unit in UNITS}
    for name, content in published_files(paths):
        last = name.rsplit("/", 1)[-1].lower()
        for unit, pattern in (("sentences", _SENTENCE_FILE), ("phrases", _PHRASE_FILE)):
            if found := pattern.fullmatch(last):
                part = next(group for group in found.groups() if group)
                files[unit][part] = (name, content)
    chosen = units or next((unit for unit in UNITS if "train" in files[unit]), UNITS[0])
    missing = [part for part in ("train", "dev") if part not in files[chosen]]
    if missing:
        raise ConfigurationError(
            f"{source}: no file of {chosen} for {' and '.join(missing)}; expected train, dev and test as .txt (trees), "
            f"sentences_*.tsv, or GLUE's .tsv."
        )
    left_out = LeftOut()
    rows = {part: list(_read(source, *file, left_out)) for part, file in files[chosen].items()}
    if not rows.get("test"):
        rows = {"train": rows["train"], "test": rows["dev"]}
    names = {"train": PARTS[0], "dev": PARTS[1], "test": PARTS[2]}
    return build_corpus(
        (
            Row(text, CLASSES[label], own_group(text), origin, names[part])
            for part, labelled in rows.items()
            for text, label, origin in labelled
        ),
        CLASSES,
        source=source,
        left_out=left_out,
    )


def _read(source: str, name: str, content: bytes, left_out: Counter[str]) -> Iterator[tuple[str, int, str]]:
    """Yield (text, label, origin)."""
    lines = text_lines(content, "utf-8-sig", f"{source}, {name!r}")
    if name.lower().endswith(".txt"):
        for number, line in lines:
            words = _LEAF.findall(line)
            root = line.strip()[1:2]
            if not words or root not in ("0", "1", "2", "3", "4"):
                left_out[NOT_LABELLED] += 1
            elif root == "2":
                left_out[NEUTRAL] += 1
            else:
                text = " ".join(_BRACKETS.get(word, word) for word in words)
                yield text, int(int(root) > 2), f"{name}:{number}"
        return
    text_column, label_column, width = 0, 1, 2
    for number, line in lines:
        fields = line.split("\t")
        if number == 1 and len(set(fields) & {*_TEXT_NAMES, "label"}) > 0:
            if "label" not in fields:
                return  # GLUE's test set
            label_column, width = fields.index("label"), len(fields)
            text_column = next(
                (i for i, field in enumerate(fields) if field in _TEXT_NAMES), 1 - label_column
            )
            continue
        if len(fields) != width or fields[label_column] not in ("0", "1") or not fields[text_column].strip():
            left_out[NOT_LABELLED] += 1
            continue
        yield fields[text_column].strip(), int(fields[label_column]), f"{name}:{number}"
