"""Signals that end a command: Ctrl-C, and what schedulers, containers and closed terminals send, which do the same."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

GOES_ON = "the same command goes on where it stopped"
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A closed terminal's hang-up comes from the kernel and again from the shell, `timeout` signals the process and then
# its group, and systemd may add SIGHUP to SIGTERM: within this time they are one signal.
_ONE_SIGNAL_S = 1.0
_SHOW_CURSOR = "\x1b[?25h"


class EndingSignals:
    """Within the block, the first ending signal raises KeyboardInterrupt, and a second one ends the process at once.

    A signal that the process was started to ignore, as under ``nohup``, stays ignored.

    Attributes
    ----------
    received
        The first signal; None before it.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._at = 0.0
        self._held = False
        self._before: dict[signal.Signals, Any] = {}

    @property
    def exit_code(self) -> int:
        """The exit code of an ended process, as shells report it: 128 and the signal's number."""
        return 128 + (self.received or signal.SIGINT)

    @property
    def name(self) -> str:
        """What ended the process, in words for its last line."""
        return "interrupted" if self.received in (None, signal.SIGINT) else f"ended by {self.received.name}"

    @property
    def waited_s(self) -> float:
        """Seconds since the first signal; 0 before it."""
        return 0.0 if self.received is None else time.monotonic() - self._at

    def __enter__(self) -> Self:
        """Take the signals over, where this is possible: in a process's main thread."""
        self.received, self._held, self._before = None, False, {}
        if threading.current_thread() is threading.main_thread():
            for number in _ENDING:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *error: object) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within the block, the first signal raises nothing, so that no record is left half-written.

        Who runs the block calls :meth:`check` where it can end; otherwise the end of the block raises.
        """
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self.check()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Put SIGTERM's handler back after Ray has started, which sets two of its own.

        Ray's first one exits with the signal's number, its second one writes a C++ stack trace.
        """
        before = signal.getsignal(signal.SIGTERM)
        try:
            yield
        except SystemExit as ended:
            if ended.code == signal.SIGTERM and self._before:
                self._receive(signal.SIGTERM, None)
            raise
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, before)

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has come."""
        if self.received is not None:
            raise KeyboardInterrupt

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            if self.waited_s >= _ONE_SIGNAL_S:
                _end_at_once(signal.Signals(number))
            return
        self.received, self._at = signal.Signals(number), time.monotonic()
        if not self._held:
            raise KeyboardInterrupt


def _end_at_once(number: signal.Signals) -> None:
    """End the process without any tidying; a driver may be killed at any moment, so that nothing recorded is lost."""
    cursor = _SHOW_CURSOR if sys.stderr.isatty() else ""
    try:
        os.write(2, f"{cursor}\nEnded at once by a second signal ({number.name}): {GOES_ON}.\n".encode())
    finally:
        os._exit(128 + number)


ENDING_SIGNALS = EndingSignals()  # signals are the whole process's
