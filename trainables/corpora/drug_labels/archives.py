"""XML documents out of files, folders and zips within zips, with limits that stop decompression bombs.

Nothing is ever extracted to a path that an archive names: members are read into memory, nested archives into
unnamed temporary files.
"""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from trainables.errors import ConfigurationError

MAX_DOCUMENT_BYTES = 64 << 20  # the largest labels have some 10 MB
MAX_NESTING = 3  # a DailyMed release has two levels: release, label
_MAX_RATIO = 100  # decompressed bytes per byte of the outermost archive; label XML reaches about 20
_FREE_BYTES = 256 << 20  # below this total the ratio does not matter
_SPOOL_BYTES = 16 << 20
_CHUNK = 1 << 20
_ZIP_MAGIC = b"PK\x03\x04"
_JSON_ENDINGS = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")


@dataclass
class _Budget:
    """Decompressed bytes that one outermost archive may still give."""

    left: int

    def spend(self, n_bytes: int, where: str) -> None:
        self.left -= n_bytes
        if self.left < 0:
            raise ConfigurationError(
                f"{where}: the archive unpacks to far more than its size, as a decompression bomb does; it is refused."
            )


def holds_xml(path: Path) -> bool:
    """Tell by name and first bytes whether a file is XML or an archive of XML rather than of JSON."""
    if path.name.lower().endswith(".xml"):
        return True
    try:
        with path.open("rb") as file:
            head = file.read(256)
        if head.startswith(_ZIP_MAGIC):
            with zipfile.ZipFile(path) as archive:
                names = [name.lower() for name in archive.namelist()]
            if any(name.endswith(".xml") for name in names):
                return True
            return any(name.endswith(".zip") for name in names) and not any(
                name.endswith(_JSON_ENDINGS) for name in names
            )
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError):
        return False  # the reader that opens it will say what is wrong
    return head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").startswith(b"<")


def check_declared_sizes(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse an archive whose members unpack to far more than its size.

    Raises
    ------
    ConfigurationError
        By the sizes that its directory declares; Python reads no member beyond them.
    """
    _Budget(_FREE_BYTES + _MAX_RATIO * path.stat().st_size).spend(
        sum(info.file_size for info in archive.infolist()), str(path)
    )


def xml_documents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (origin, content) of every XML document in a file or archive, in the order of their names.

    Parameters
    ----------
    path
        An XML file, or a zip of XML files and of further such zips; other members (images) are passed over.

    Raises
    ------
    ConfigurationError
        For what cannot be read, is encrypted, too large, nested too deep, unpacks to too much, or has members
        with a path that leaves the archive.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
            if magic == _ZIP_MAGIC:
                budget = _Budget(_FREE_BYTES + _MAX_RATIO * path.stat().st_size)
                yield from _members(file, path.name, budget, nesting=1)
                return
            file.seek(0)
            content = file.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror or error}).") from error
    _check_size(len(content), str(path))
    yield path.name, content


def _members(file: IO[bytes], origin: str, budget: _Budget, nesting: int) -> Iterator[tuple[str, bytes]]:
    if nesting > MAX_NESTING:
        raise ConfigurationError(f"{origin}: archives are nested deeper than {MAX_NESTING}; it is refused.")
    try:
        with zipfile.ZipFile(file) as archive:
            for info in sorted(archive.infolist(), key=lambda info: info.filename):
                name = info.filename.lower()
                where = f"{origin}!{info.filename}"
                if info.is_dir() or not name.endswith((".xml", ".zip")):
                    continue
                _check_name(info.filename, where)
                with archive.open(info) as member:
                    if name.endswith(".xml"):
                        content = member.read(MAX_DOCUMENT_BYTES + 1)
                        _check_size(len(content), where)
                        budget.spend(len(content), where)
                        yield where, content
                        continue
                    with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as nested:
                        while chunk := member.read(_CHUNK):
                            budget.spend(len(chunk), where)
                            nested.write(chunk)
                        yield from _members(nested, where, budget, nesting + 1)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        # RuntimeError: encrypted; NotImplementedError: a compression that Python does not know
        raise ConfigurationError(f"{origin}: cannot be unpacked ({error}); is the file complete?") from error


def _check_name(name: str, where: str) -> None:
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith(("/", "\\")) or ":" in parts[0]:
        raise ConfigurationError(f"{where}: the member's path leaves the archive; it is refused.")


def _check_size(n_bytes: int, where: str) -> None:
    if n_bytes > MAX_DOCUMENT_BYTES:
        raise ConfigurationError(
            f"{where}: larger than {MAX_DOCUMENT_BYTES >> 20} MB; expected a label, which has a few MB."
        )
