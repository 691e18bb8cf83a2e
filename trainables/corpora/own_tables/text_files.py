"""Read lines of text files of any encoding, gzipped or not, without ever holding more than one line."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from charset_normalizer import from_bytes

from trainables.errors import ConfigurationError

MAX_LINE = 10_000_000  # characters; an unclosed quote or a file that is no text shows here
_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_PARQUET = b"PAR1"
# Text seldom packs to a tenth of a per cent; what does so and unpacks to more than this is a bomb.
_BOMB_BYTES = 1 << 30
_BOMB_RATIO = 500
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what can go wrong while a file is read into an error that names the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path}: no such file; give the path of the data.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigurationError(f"{path}: cannot be read ({error}); is the file complete?") from error


def open_bytes(path: Path) -> gzip.GzipFile | io.BufferedReader:
    """Open a file, decompressed where its first bytes say that it is gzip."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == _ZIP:
        raise ConfigurationError(
            f"{path}: a zip archive or a spreadsheet; unpack it, or save the sheet as CSV, and give that file."
        )
    return gzip.open(path, "rb") if magic.startswith(_GZIP) else path.open("rb")


def is_parquet(path: Path) -> bool:
    """Return whether a file starts as Parquet does."""
    with explained(path), path.open("rb") as file:
        return file.read(4) == _PARQUET


def detect_encoding(path: Path) -> str:
    """Return the encoding of a text file: by its byte order mark, else UTF-8 where all of it is, else the most likely.

    The whole file is read once, so that a single accent in the last line counts too.

    Raises
    ------
    ConfigurationError
        For a file that cannot be read, is empty, unpacks to an absurd size, or is no text.
    """
    with explained(path), open_bytes(path) as file:
        head = file.read(_CHUNK)
        if not head.strip(b" \t\r\n\0\xef\xbb\xbf\xff\xfe"):
            raise ConfigurationError(f"{path}: the file is empty; expected a table with at least one row.")
        for mark, name in _BYTE_ORDER_MARKS:
            if head.startswith(mark):
                return name
        if wide := _wide(head):
            return wide
        packed = path.stat().st_size
        decoder = codecs.getincrementaldecoder("utf-8")()
        chunk, size, line = head, 0, 1
        while True:
            size += len(chunk)
            if size > _BOMB_BYTES and size > _BOMB_RATIO * packed:
                raise ConfigurationError(
                    f"{path}: {packed} bytes unpack to more than {size}; this is no data file but a compression bomb."
                )
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError:
                return _most_likely(chunk or head, path, line)
            if not chunk:
                return "utf-8"
            line += chunk.count(b"\n")
            chunk = file.read(_CHUNK)


def _wide(head: bytes) -> str | None:
    """Return UTF-16 of a byte order where every other byte of Latin text is zero, though no mark says so."""
    sample = head[:4096]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if min(even, odd) * 10 > max(even, odd) or max(even, odd) * 4 < len(sample):
        return None
    return "utf-16-be" if even > odd else "utf-16-le"


def _most_likely(chunk: bytes, path: Path, line: int) -> str:
    text = chunk.decode("utf-8", errors="surrogateescape")
    broken = sum("\udc80" <= character <= "\udcff" for character in text)
    if sum(character > "\x7f" for character in text) > 2 * broken:
        # Another encoding would be found for it, and would turn all that is right into gibberish.
        start = next(i for i, character in enumerate(text) if "\udc80" <= character <= "\udcff")
        raise ConfigurationError(
            f"{path}, line {line + text[:start].count(chr(10))}: UTF-8 text with broken characters; repair it, or name "
            f"the file's encoding with --encoding."
        )
    best = from_bytes(chunk[: 1 << 16] + _around_first_high_byte(chunk)).best()
    if best is None:
        raise ConfigurationError(
            f"{path}: neither UTF-8 nor another encoding that can be recognised; name it with --encoding, e.g. "
            f"--encoding cp1252."
        )
    return str(best.encoding)


def _around_first_high_byte(chunk: bytes) -> bytes:
    first = next((i for i, byte in enumerate(chunk) if byte >= 0x80), 0)
    start = max(0, chunk.rfind(b"\n", 0, first))
    return chunk[start : start + (1 << 16)] if first >= 1 << 16 else b""


def read_lines(path: Path, encoding: str) -> Iterator[str]:
    """Yield the lines of a text file with their line ends, as the ``csv`` module wants them.

    Raises
    ------
    ConfigurationError
        With the line, for bytes that the encoding does not have and for a line beyond :data:`MAX_LINE`; for an
        unknown encoding or a damaged file.
    """
    number = 0
    try:
        codecs.lookup(encoding)
        with (
            explained(path),
            open_bytes(path) as file,
            io.TextIOWrapper(file, encoding=encoding, newline="") as stream,
        ):
            while line := stream.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    raise ConfigurationError(
                        f"{path}, line {number}: longer than {MAX_LINE} characters; is there one row a line?"
                    )
                yield line
    except LookupError as error:
        raise ConfigurationError(
            f"--encoding {encoding}: not known; expected e.g. utf-8, cp1252, latin-1 or utf-16."
        ) from error
    except UnicodeError as error:
        raise ConfigurationError(
            f"{path}, line {number + 1} or soon after: not {encoding} text ({error}); name the file's encoding with "
            f"--encoding, e.g. --encoding cp1252."
        ) from error
