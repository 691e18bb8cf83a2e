"""20 Newsgroups in its "bydate" version (Lang 1995): 11,314 posts for training, 7,532 later ones for test."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from trainables.corpora.corpus import Corpus
from trainables.corpora.left_out import LeftOut
from trainables.corpora.published.download import fetch
from trainables.corpora.published.files import published_files, text_lines
from trainables.corpora.rows import Row, build_corpus, own_group
from trainables.errors import ConfigurationError

CLASSES = (
    "alt.atheism",
    "comp.graphics",
    "comp.os.ms-windows.misc",
    "comp.sys.ibm.pc.hardware",
    "comp.sys.mac.hardware",
    "comp.windows.x",
    "misc.forsale",
    "rec.autos",
    "rec.motorcycles",
    "rec.sport.baseball",
    "rec.sport.hockey",
    "sci.crypt",
    "sci.electronics",
    "sci.med",
    "sci.space",
    "soc.religion.christian",
    "talk.politics.guns",
    "talk.politics.mideast",
    "talk.politics.misc",
    "talk.religion.misc",
)
HEADERS = ("subject", "keep")
PUBLISHED = (
    "https://ndownloader.figshare.com/files/5975967",
    "8f1b2514ca22a5ade8fbb9cfa5727df95fa587f4c87b786e15c759fa66d95610",
)
NOT_A_POST = "record that is no post"
_FILE = re.compile(r"(?:^|/)20news-bydate-(train|test)/([a-z.-]+)/(\d+)$")
_SUBJECT = re.compile(r"^Subject:[ \t]*(.*)$", re.IGNORECASE | re.MULTILINE)


def read_newsgroups20(data: str | None, *, headers: str = "subject") -> Corpus:
    """Read 20 Newsgroups with its given split.

    Parameters
    ----------
    data
        The archive ``20news-bydate.tar.gz`` or the folder that it unpacks to, or JSON Lines with ``split``, ``label``
        and ``text``; None downloads the archive.
    headers
        ``"subject"``: of a post's header the subject alone is kept, because sender and organisation give classes away;
        ``"keep"``: the post as it is.

    Raises
    ------
    ConfigurationError
        For files that are missing, unreadable or of another format.
    """
    if headers not in HEADERS:
        raise ConfigurationError(f"headers {headers!r}: expected one of {', '.join(HEADERS)}.")
    path = Path(data) if data is not None else fetch(*PUBLISHED)
    source = data or "the published 20 Newsgroups"
    left_out = LeftOut()
    rows = []
    for part, label, text, origin in _posts(path, left_out):
        text = text if headers == "keep" else without_header(text)
        rows.append(Row(text.strip(), label, own_group(text), origin, part))
    if {row.part for row in rows} != {"train", "test"}:
        raise ConfigurationError(
            f"{source}: expected posts of train and test, as 20news-bydate.tar.gz has them or as JSON Lines with "
            f"split, label and text."
        )
    return build_corpus(rows, CLASSES, source=source, left_out=left_out)


def without_header(post: str) -> str:
    """Return the subject and the body of a post.

    Examples
    --------
    >>> without_header("From: a@b\\nSubject: Re: tyres\\n\\nWhich ones?")
    'tyres\\nWhich ones?'
    """
    header, blank, body = post.partition("\n\n")
    if not blank:
        return post
    found = _SUBJECT.search(header)
    subject = re.sub(r"^(?:re: *)+", "", found[1].strip(), flags=re.IGNORECASE) if found else ""
    return f"{subject}\n{body}".strip()


def _posts(path: Path, left_out: Counter[str]) -> Iterator[tuple[str, str, str, str]]:
    """Yield (part, label, text, origin)."""
    # Figshare's address names no file, so the archive's kind is told by its content.
    for name, content in published_files([path]):
        if name.endswith((".jsonl", ".ndjson")):
            yield from _records(path, name, content, left_out)
        elif (found := _FILE.search(name)) and found[2] in CLASSES:
            yield found[1], found[2], content.decode("latin-1"), name


def _records(
    path: Path, name: str, content: bytes, left_out: Counter[str]
) -> Iterator[tuple[str, str, str, str]]:
    for number, line in text_lines(content, "utf-8-sig", str(path)):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"{path}, {name!r}, line {number}: not JSON ({error}).") from error
        values = (
            [record.get(key) for key in ("split", "label", "text")] if isinstance(record, dict) else [None]
        )
        part, label, text = values if len(values) == 3 else (None, None, None)
        if part not in ("train", "test") or label not in CLASSES or not isinstance(text, str):
            left_out[NOT_A_POST] += 1
        else:
            yield str(part), str(label), text, f"{name}:{number}"
