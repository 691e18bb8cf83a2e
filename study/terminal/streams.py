"""Standard streams that take every character and outlive their reader.

A terminal or a pipe may not know a character that is to be written, may have been closed, or may lie on a full disk.
None of that may cost a study that has run for hours: characters are replaced, messages that nobody can read are
dropped, and only a result that cannot be delivered ends a command.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import shutil
import sys
from collections.abc import Callable
from typing import BinaryIO, cast

from rich.console import Console

BROKEN_PIPE = 141  # 128 + SIGPIPE, as shells report it
_REPLACING = "study-replaced"
_PLAIN = {
    "−": "-",
    "–": "-",
    "—": "-",
    "…": "...",
    "×": "x",
    "≥": ">=",
    "≤": "<=",
    "’": "'",
    "“": '"',
    "”": '"',
    "─": "-",
    "│": "|",
    "●": "o",
}
# Piped output has no width of its own, and rich would cut it to 80 columns.
_PIPED_COLUMNS = 160


class OutputLost(Exception):
    """Standard output cannot take the result.

    Parameters
    ----------
    cause
        What the operating system says.
    """

    def __init__(self, cause: OSError) -> None:
        self.reader_left = cause.errno == errno.EPIPE
        super().__init__(f"Standard output cannot be written: {cause.strerror}. The result was not shown.")


def output_console() -> Console:
    """Return the console of a command's result: standard output, as wide as the terminal."""
    return Console(width=max(1, shutil.get_terminal_size((_PIPED_COLUMNS, 24)).columns), highlight=False)


def take_any_output() -> None:
    """Make the standard streams of this process take every character and outlive their reader.

    - Characters that a stream's encoding lacks become their plain form, or an escape such as ``\\u0142``.
    - A file descriptor that was closed before the start is opened on nothing, or the next file that is opened (a
      database, say) would be taken for the terminal by every library that writes to it.
    - Messages that standard error no longer takes are dropped; results that standard output does not take raise
      :class:`OutputLost`.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    # Python has none where the descriptor was closed, and libraries write to them unasked.
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_REPLACING)
    # The streams of a test's capture are left in place.
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout is sys.__stdout__:
        sys.stdout = _Stream(sys.stdout, _lose_result)
    if isinstance(sys.stderr, io.TextIOWrapper) and sys.stderr is sys.__stderr__:
        sys.stderr = _Stream(sys.stderr, _lose_message)


def drop_output(descriptor: int = 1) -> None:
    """Send what is still to be written on a standard stream nowhere, so that Python can end without a complaint."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


class _Stream(io.TextIOWrapper):
    """A standard stream whose failures go to ``lost``."""

    def __init__(self, replaced: io.TextIOWrapper, lost: Callable[[OSError], None]) -> None:
        replaced.flush()
        super().__init__(
            cast(BinaryIO, replaced.buffer),
            encoding=replaced.encoding,
            errors=_REPLACING,
            line_buffering=replaced.line_buffering,
            write_through=replaced.write_through,
        )
        self._lost = lost
        self._replaced = replaced  # its end would close the buffer that both have

    def write(self, text: str) -> int:
        """Write a text."""
        try:
            return super().write(text)
        except OSError as error:
            self._lost(error)
            return len(text)

    def flush(self) -> None:
        """Write what is still held back."""
        try:
            super().flush()
        except OSError as error:
            self._lost(error)


def _lose_result(cause: OSError) -> None:
    raise OutputLost(cause) from cause


def _lose_message(cause: OSError) -> None:
    """Go on: nobody can read messages any more, but the study's folder holds everything."""
    drop_output(2)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for characters that an encoding lacks: the handler that ``codecs`` calls."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    plain = (_PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode() for one in lacking)
    return "".join(plain), error.end


codecs.register_error(_REPLACING, _replaced)
