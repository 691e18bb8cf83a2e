"""A stage of Apertium's pipe: its statistical tagger, started anew whenever it would carry something over.

Run as a script, between the analyser and the transfer rules: ``python tagger_without_memory.py COMMAND...``, where the
command is ``apertium-tagger`` with ``-z`` (blocks end with a NUL) and ``-d`` (it says what it meets).

A word whose set of analyses the tagger never learned is taken for one with the most similar set; where none is similar,
for whatever set it found last, which may be sentences ago. So after each block in which it met such a word it is
replaced by a fresh one, and a sentence's analysis depends on the sentence alone. On labels of drugs that concerns half
of the Catalan sentences, and one in a hundred English or Spanish ones.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import IO

_CARRIED_OVER = b"New ambiguity class"
_READ = 1 << 16


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield blocks as they come, each with its NUL."""
    rest = b""
    while got := os.read(stream.fileno(), _READ):
        *whole, rest = (rest + got).split(b"\0")
        for block in whole:
            yield block + b"\0"


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )
    assert process.stderr is not None
    os.set_blocking(process.stderr.fileno(), False)
    return process


def _said(process: subprocess.Popen[bytes]) -> bytes:
    """Return what a tagger has complained since the last call; it complains before it ends a block."""
    assert process.stderr is not None
    said = b""
    try:
        while got := os.read(process.stderr.fileno(), _READ):
            said += got
    except BlockingIOError:
        pass
    return said


def _write(to: int, block: bytes) -> None:
    left = memoryview(block)
    with contextlib.suppress(BrokenPipeError):  # whoever reads has ended, which the reading side tells
        while left:
            left = left[os.write(to, left) :]


def main(command: list[str]) -> int:
    """Pass blocks from standard input through taggers to standard output."""
    tagger = _start(command)
    for block in _blocks(sys.stdin.buffer):
        assert tagger.stdin is not None and tagger.stdout is not None
        # From a thread: a long block does not fit into the pipe, and the tagger writes before it has read it all.
        writer = threading.Thread(target=_write, args=(tagger.stdin.fileno(), block), daemon=True)
        writer.start()
        tagged = next(_blocks(tagger.stdout), None)
        if tagged is None:
            sys.stderr.buffer.write(_said(tagger))
            return tagger.wait() or 1
        writer.join()
        _write(sys.stdout.fileno(), tagged)
        if _CARRIED_OVER in _said(tagger):
            tagger.kill()
            tagger.communicate()
            tagger = _start(command)
    tagger.communicate()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
