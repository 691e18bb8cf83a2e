"""Read lines of text files of any encoding, gzipped or not, without ever holding more than one line."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainables.errors import ConfigurationError

MAX_LINE = 10_000_000  # characters; an unclosed quote or a file that is no text shows here
_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_PARQUET = b"PAR1"
# Text seldom packs to a tenth of a per cent; what does so and unpacks to more than this is a bomb.
_BOMB_BYTES = 1 << 30
_BOMB_RATIO = 500
# What is no table, by its first bytes.
_FOREIGN = (
    (_ZIP, "a zip archive or a spreadsheet; unpack it, or save the sheet as CSV, and give that file"),
    (b"\xd0\xcf\x11\xe0", "a file of an older Excel or Word; save the sheet as CSV, and give that file"),
    (b"%PDF-", "a PDF document; give its texts as a table"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd; unpack it, or pack it with gzip"),
    (b"BZh91AY&SY", "packed by bzip2; unpack it, or pack it with gzip"),
    (b"\xfd7zXZ", "packed by xz; unpack it, or pack it with gzip"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it and give the table that is in it"),
    (b"Rar!\x1a", "a RAR archive; unpack it and give the table that is in it"),
    (b"SQLite format 3\0", "an SQLite database; export the table as CSV and give that file"),
    (b"\x89HDF\r", "an HDF5 file; write the table as CSV or Parquet and give that file"),
    (b"ARROW1\0", "an Arrow or Feather file; write the table as Parquet and give that file"),
    (b"Obj\x01", "an Avro file; write the table as Parquet or JSON Lines and give that file"),
    (b"\x80\x04\x95", "a Python pickle; write the table as CSV or Parquet and give that file"),
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
        magic = file.read(16)
    for mark, what in _FOREIGN:
        if magic.startswith(mark):
            raise ConfigurationError(f"{path}: this is {what}.")
    return gzip.open(path, "rb") if magic.startswith(_GZIP) else path.open("rb")


def is_parquet(path: Path) -> bool:
    """Return whether a file starts as Parquet does."""
    with explained(path), path.open("rb") as file:
        return file.read(4) == _PARQUET


def check_bomb(path: Path, packed: int, size: int) -> None:
    """Refuse a file of so many packed bytes that unpacks to so many and more."""
    if size > _BOMB_BYTES and size > _BOMB_RATIO * packed:
        raise ConfigurationError(
            f"{path}: {packed} bytes unpack to more than {size}; this is no data file but a compression bomb."
        )


def read_lines(path: Path, encoding: str, errors: str = "strict") -> Iterator[str]:
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
            io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="") as stream,
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
