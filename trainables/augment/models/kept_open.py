"""A text filter that is started once and kept open: blocks go in and come back in order, each ended by a NUL."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import IO, NamedTuple

_READ = 1 << 16  # bytes of one read
_CLOSING_S = 2.0  # for a filter to end by itself when its input ends
_TAIL = 300  # characters of what a filter complained that an error repeats


class Exchange(NamedTuple):
    """What came of some blocks.

    Attributes
    ----------
    done
        The blocks that came back: the first ones, all of them if nothing failed.
    failure
        Why the others did not, or None.
    answered
        Whether the filter answered at all.
    """

    done: list[str]
    failure: str | None
    answered: bool


class KeptOpen:
    """A filter process; it starts when it is first needed, and again after it died or was too slow.

    Blocks stand between two marks, which the filter has to let pass as they are. So what an earlier exchange left
    behind is never taken for an answer, and a filter that loses or adds a block is found out.

    Parameters
    ----------
    command
        What is run.
    environment
        Its environment.
    mark
        Format of a mark, e.g. ``"[{}]"``; no block may contain one.
    silence_s
        Seconds without a byte after which the filter counts as stuck.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], mark: str, silence_s: float
    ) -> None:
        self._command = list(command)
        self._environment = dict(environment)
        self._mark = mark
        self._silence_s = silence_s
        self._exchanges = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints: IO[bytes] | None = None
        self._close: Callable[[], object] = lambda: None
        self._owner = 0
        self.starts = 0

    def exchange(self, blocks: Sequence[str]) -> Exchange:
        """Send blocks through the filter; after a failure it is closed, and the next exchange starts another one."""
        process = self._running()
        self._exchanges += 1
        first, last = (self._mark.format(f"{end}{self._exchanges}") for end in ("from", "to"))
        data = b"".join(block.encode() + b"\0" for block in (first, *blocks, last))
        # Written from a thread: the filter stops reading when nobody reads what it wrote.
        writer = threading.Thread(target=_write, args=(process, data), daemon=True)
        writer.start()
        received, failure = self._received(process, first, last)
        answered = received is not None
        done = received or []
        if failure is None and len(done) != len(blocks):
            failure = f"{len(done)} blocks came back for {len(blocks)}"
            done = []
        if failure is not None:
            failure = f"{failure}{self._complaint()}"
            _kill(process)  # which also frees a writer that waits
        writer.join()
        if failure is not None:
            self.close()
        return Exchange(done[: len(blocks)], failure, answered)

    def _received(
        self, process: subprocess.Popen[bytes], first: str, last: str
    ) -> tuple[list[str] | None, str | None]:
        """Return the blocks between two marks, None where not even the first mark came, and what failed."""
        assert process.stdout is not None
        blocks: list[str] | None = None
        rest = b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                if not selector.select(self._silence_s):
                    return blocks, f"it was silent for {self._silence_s:g} s"
                got = os.read(process.stdout.fileno(), _READ)
                if not got:
                    return blocks, "it ended"
                *whole, rest = (rest + got).split(b"\0")
                for block in whole:
                    text = block.decode("utf-8", "replace")
                    if text == last:
                        return blocks, None
                    if text == first:
                        blocks = []
                    elif blocks is not None:
                        blocks.append(text)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._owner != os.getpid():  # a forked process must not share its parent's pipe
            self._process = None
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            complaints = tempfile.TemporaryFile()  # noqa: SIM115  (open as long as the process)
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                bufsize=0,
                env=self._environment,
                start_new_session=True,  # a pipe of many processes is ended as one
            )
            self._complaints = complaints
            self._owner = os.getpid()
            self._close = weakref.finalize(self, _end, self._process, complaints, self._owner)
            self.starts += 1
        return self._process

    def _complaint(self) -> str:
        assert self._complaints is not None
        time.sleep(0.05)  # what it wrote last may come after its end
        self._complaints.seek(0)
        said = " ".join(self._complaints.read().decode("utf-8", "replace").split())
        return f", and said: {said[-_TAIL:]}" if said else ""

    def close(self) -> None:
        """End the process, if one runs."""
        self._close()
        self._process = None


def _write(process: subprocess.Popen[bytes], data: bytes) -> None:
    assert process.stdin is not None
    view = memoryview(data)
    with contextlib.suppress(OSError, ValueError):  # it died or was closed: the reading side tells
        while view:
            view = view[os.write(process.stdin.fileno(), view) :]


def _end(process: subprocess.Popen[bytes], complaints: IO[bytes], owner: int) -> None:
    """Let a process end by itself, as filters do when their input ends, or kill it."""
    if owner == os.getpid():
        assert process.stdout is not None and process.stdin is not None
        process.stdin.close()
        try:
            process.wait(_CLOSING_S)
        except subprocess.TimeoutExpired:
            _kill(process)
        process.stdout.close()
        complaints.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:  # then its group is still its own
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
