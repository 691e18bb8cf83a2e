"""The files of a published data set, out of a folder, a zip, a tar archive or single files, never unpacked to disk."""

from __future__ import annotations

import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from trainables.errors import ConfigurationError

_MAX_FILE = 256 << 20
_MAX_TOTAL = 1 << 30


def published_files(
    paths: Sequence[Path], wanted: Callable[[str], bool] = lambda name: True
) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of all files in an order that depends on their names alone.

    Names keep their folders; ``.gz`` files are decompressed and lose that ending.

    Parameters
    ----------
    paths
        Folders, archives or single files. Archives inside folders or archives are passed over.
    wanted
        Tells by its name whether a file is read at all; names still end in ``.gz`` here.

    Raises
    ------
    ConfigurationError
        For missing, unreadable or encrypted files, and for content beyond 256 MB a file or 1 GB in all.
    """
    total = 0
    for path in paths:
        try:
            for name, content in _files_of(path, wanted):
                total += len(content)
                if len(content) > _MAX_FILE or total > _MAX_TOTAL:
                    raise ConfigurationError(
                        f"{path}: {name} is larger than any file of this data set; it is refused."
                    )
                yield name, content
        except FileNotFoundError as error:
            raise ConfigurationError(f"{path}: no such file or folder; give the path of the data.") from error
        except (
            OSError,
            EOFError,
            RuntimeError,
            ValueError,
            LookupError,
            struct.error,
            zlib.error,
            lzma.LZMAError,
            zipfile.BadZipFile,
            tarfile.TarError,
        ) as error:
            # RuntimeError: an encrypted zip, or a compression that Python does not know; the next three: names and
            # numbers in headers that make no sense
            raise ConfigurationError(f"{path}: cannot be read ({error}); is the file complete?") from error


def _files_of(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for file in sorted(file for file in path.rglob("*") if file.is_file()):
            name = file.relative_to(path).as_posix()
            if file.suffix.lower() not in (".zip", ".tar", ".tgz") and wanted(name):
                yield _opened(file, name)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for info in sorted(archive.infolist(), key=lambda info: info.filename):
                if not info.is_dir() and wanted(info.filename):
                    with archive.open(info) as member:
                        yield info.filename, member.read(_MAX_FILE + 1)
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as bundle:
            # In the order of the archive: going back in a compressed one would unpack it anew each time.
            for entry in bundle:
                content = bundle.extractfile(entry) if entry.isfile() and wanted(entry.name) else None
                if content is not None:
                    yield entry.name, content.read(_MAX_FILE + 1)
    elif wanted(path.name):
        yield _opened(path, path.name)


def _opened(file: Path, name: str) -> tuple[str, bytes]:
    with file.open("rb") as plain:
        if plain.read(2) != b"\x1f\x8b":
            plain.seek(0)
            return name, plain.read(_MAX_FILE + 1)
    with gzip.open(file, "rb") as packed:
        return name.removesuffix(".gz"), packed.read(_MAX_FILE + 1)


def text_lines(content: bytes, encoding: str, where: str) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, line) of a file's lines that are not empty.

    Raises
    ------
    ConfigurationError
        For bytes that the encoding does not have.
    """
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{where}: not {encoding} text ({error.reason} at byte {error.start})."
        ) from error
    # Not splitlines(): it also splits at characters that are part of some texts, such as U+0085.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.rstrip("\r")
