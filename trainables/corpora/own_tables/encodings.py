"""Which encoding a text file is in: by its byte order mark, else UTF-8, else a guess, which is always told."""

from __future__ import annotations

import codecs
import gzip
import io
import re
from dataclasses import dataclass, field
from pathlib import Path

from charset_normalizer import from_bytes

from trainables.corpora.own_tables.alphabets import ALPHABETS, fit
from trainables.corpora.own_tables.text_files import check_bomb, explained, open_bytes
from trainables.errors import ConfigurationError

_CHUNK = 1 << 20
_SAMPLE_BYTES = 1 << 16
_LONGEST_LINE = 1 << 24  # bytes; beyond it a line may be cut in two while it is looked at
_SHOWN = 60
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
# What another encoding has to show before it takes cp1252's place: nearly all its letters are of one language, they
# are several different ones, and they fit better than as cp1252. Below the last share cp1252 makes no sense.
_STRONG_FIT, _STRONG_LETTERS, _STRONG_LEAD = 0.95, 4, 0.1
_FIT, _MAKES_SENSE = 0.8, 0.5
_MIXED_SHARE = 0.1
_USUAL = "cp1252"
_KANA = re.compile("[\u3041-\u30fe]")
_OTHER_WRITINGS = (
    *("cp1251", "koi8_r", "koi8_u", "iso8859_5", "cp866", "mac_cyrillic"),
    *("cp1253", "cp1255", "cp1256", "iso8859_6", "gb18030", "big5", "cp949", "cp874"),
)
# Greek read as Cyrillic has them, and Cyrillic in one of its encodings read as another.
_CAPITAL_INSIDE = re.compile("[\u03ac-\u03ce\u0430-\u045f][\u0386-\u03ab\u0400-\u042f]")
_JAPANESE = ("cp932", "euc_jp")


@dataclass(frozen=True)
class Decoding:
    """How the bytes of a file become text.

    Attributes
    ----------
    encoding
        A codec of Python's.
    errors
        What is done with bytes that the encoding does not have: ``"strict"``, or ``"surrogateescape"``, which turns
        them into characters that no row may have, so that their rows are left out and counted.
    remark
        A sentence for the user, where the encoding was guessed or some bytes do not fit; else empty.
    """

    encoding: str
    errors: str = "strict"
    remark: str = ""


@dataclass
class _Lines:
    """The lines of a file that are not ASCII: how many are UTF-8, and those that are not, as far as a sample goes."""

    n_utf8: int = 0
    n_other: int = 0
    first_other: int = 0
    sample: bytearray = field(default_factory=bytearray)
    bytes_seen: set[int] = field(default_factory=set)

    def add(self, block: bytes, line: int) -> None:
        """Look at whole lines, of which the first has this number."""
        try:
            block.decode()
        except UnicodeDecodeError:
            self._add_lines(block, line)
        else:
            self.n_utf8 += sum(not each.isascii() for each in block.splitlines())

    def _add_lines(self, block: bytes, line: int) -> None:
        for number, each in enumerate(re.split(rb"\r\n|\r|\n", block), start=line):
            if each.isascii():
                continue
            try:
                each.decode()
                self.n_utf8 += 1
            except UnicodeDecodeError:
                self.n_other += 1
                self.first_other = self.first_other or number
                self.bytes_seen.update(each)
                if len(self.sample) < _SAMPLE_BYTES:
                    self.sample += _around_first(each) + b"\n"


def find_decoding(path: Path) -> Decoding:
    """Return how a file is to be decoded; all of it is read once, so that one accent in the last line counts too.

    A byte order mark decides. Else the file is UTF-8 where most of its lines that are not ASCII are. Else it is
    cp1252, where that has all its bytes, unless the letters are those of another language in another encoding.

    Raises
    ------
    ConfigurationError
        For a file that cannot be read, is empty, unpacks to an absurd size, or is in no encoding that can be found.
    """
    with explained(path), open_bytes(path) as file:
        head = file.read(_CHUNK)
        if not head.strip(b" \t\r\n\0\xef\xbb\xbf\xff\xfe"):
            raise ConfigurationError(f"{path}: the file is empty; expected a table with at least one row.")
        for mark, name in _BYTE_ORDER_MARKS:
            if head.startswith(mark):
                return Decoding(name)
        if wide := _wide(head):
            return Decoding(wide, remark=_guessed(path, *_first_line(head, wide), wide))
        lines = _look_at_lines(path, head, file)
    if not lines.n_other:
        return Decoding("utf-8")
    if lines.n_utf8 > lines.n_other:
        return Decoding("utf-8", "surrogateescape", _broken(path, lines))
    if lines.n_utf8 > _MIXED_SHARE * lines.n_other:
        raise ConfigurationError(
            f"{path}, line {lines.first_other}: not UTF-8, but other lines are ({lines.n_utf8} lines against "
            f"{lines.n_other}); bring all to one encoding, or name it with --encoding."
        )
    encoding = _guess(lines)
    if encoding is None:
        raise ConfigurationError(
            f"{path}: neither UTF-8 nor another encoding that can be recognised; name it with --encoding, e.g. "
            f"--encoding cp1252."
        )
    first = bytes(lines.sample).split(b"\n", 1)[0].decode(encoding, errors="replace")
    return Decoding(encoding, remark=_guessed(path, lines.first_other, first, encoding))


def _wide(head: bytes) -> str | None:
    """Return UTF-16 of a byte order where every other byte of ASCII characters is zero, though no mark says so."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if min(even, odd) * 10 > max(even, odd):
        return None
    encoding = "utf-16-be" if even > odd else "utf-16-le"
    # The end of the sample may cut a character in two. A stray zero byte makes no lines.
    text = head[: len(head) // 2 * 2].decode(encoding, errors="ignore")
    n_ascii = sum(map(str.isascii, text))
    return encoding if n_ascii * 2 > even + odd and ("\n" in text or n_ascii * 2 > len(text)) else None


def _first_line(head: bytes, encoding: str) -> tuple[int, str]:
    """Return number and characters of the first line that is not ASCII, else of the first one."""
    lines = head.decode(encoding, errors="ignore").splitlines()
    return next(((n, line) for n, line in enumerate(lines, start=1) if not line.isascii()), (1, lines[0]))


def _look_at_lines(path: Path, head: bytes, file: gzip.GzipFile | io.BufferedReader) -> _Lines:
    lines, packed = _Lines(), path.stat().st_size
    block, number, size = head, 1, len(head)
    while True:
        chunk = file.read(_CHUNK)
        size += len(chunk)
        check_bomb(path, packed, size)
        if chunk and len(block) < _LONGEST_LINE:
            end = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
            whole, block = block[:end], block[end:] + chunk
        else:
            whole, block = block, chunk
        if whole:
            if not whole.isascii():
                lines.add(whole, number)
            number += whole.count(b"\n") or whole.count(b"\r")
        if not chunk and not block:
            return lines


def _around_first(line: bytes) -> bytes:
    """Return a line, or of a very long one the part around its first byte that is not ASCII."""
    found = _NOT_ASCII.search(line)
    start = max(0, found.start() - _SAMPLE_BYTES // 4) if found else 0
    return line[start : start + _SAMPLE_BYTES // 2]


def _guess(lines: _Lines) -> str | None:
    """Return the encoding that is taken for lines that are not UTF-8."""
    sample, seen = bytes(lines.sample), bytes(sorted(lines.bytes_seen))
    fits: dict[str, tuple[float, int]] = {}
    for encoding, alphabets in ALPHABETS.items():
        if _has(encoding, seen):
            fits[encoding] = fit(sample.decode(encoding), alphabets)
    usual, _ = fits.pop(_USUAL, (0.0, 0))
    best = max(fits, key=lambda encoding: fits[encoding], default=None)
    share, letters = fits[best] if best is not None else (0.0, 0)
    if usual >= _MAKES_SENSE:
        is_strong = (
            share >= _STRONG_FIT and letters >= _STRONG_LETTERS and share - usual >= _STRONG_LEAD - 1e-9
        )
        return best if is_strong else _USUAL
    if share >= _FIT:
        return best
    for encoding in _JAPANESE:  # told by its syllables, which stand in no other text
        if _has(encoding, sample) and len(_KANA.findall(text := sample.decode(encoding))) * 5 > len(text):
            return encoding
    if likely := _likely(sample):
        return likely
    return _USUAL if _has(_USUAL, seen) and usual > 0 else None


def _likely(sample: bytes) -> str | None:
    """Return the encoding of a writing other than Latin that charset_normalizer finds the least odd.

    Each is asked for alone: of all together the first that will do is taken. Capitals behind small letters come
    first, because charset_normalizer does not mind them.
    """
    ranks = []
    for place, encoding in enumerate(_OTHER_WRITINGS):
        match = from_bytes(sample, cp_isolation=[encoding]).best()
        if match is not None:
            odd = len(_CAPITAL_INSIDE.findall(str(match))) / len(sample)
            ranks.append((round(odd, 2), round(match.chaos, 3), -match.coherence, place))
    return _OTHER_WRITINGS[min(ranks)[-1]] if ranks else None


def _has(encoding: str, content: bytes) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _guessed(path: Path, number: int, line: str, encoding: str) -> str:
    return (
        f"{path.name} is not UTF-8 and does not say what it is. It was read as {encoding}, which is a guess: line "
        f"{number} then reads “{_shown(line)}”. If that is wrong, name the encoding with --encoding."
    )


def _broken(path: Path, lines: _Lines) -> str:
    n = f"{lines.n_other} lines have" if lines.n_other > 1 else "one line has"
    return (
        f"{path.name} was read as UTF-8, but {n} bytes that are not (line {lines.first_other} is the first). Rows "
        f"whose text or label has them are left out. If the file is in another encoding, name it with --encoding."
    )


def _shown(line: str) -> str:
    """Return the words around the first character of a line that depends on the encoding."""
    first = next((place for place, character in enumerate(line) if not character.isascii()), 0)
    start = max(0, first - _SHOWN // 2)
    start = line.find(" ", start, first) + 1 or start if start else 0
    end = start + _SHOWN
    shown = "".join(c if c.isprintable() else " " for c in line[start:end]).strip()
    return ("…" if start else "") + shown + ("…" if end < len(line) else "")
