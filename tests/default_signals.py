"""A process that takes ending signals as one started in a terminal does, however the tests themselves were started."""

from __future__ import annotations

import signal


def default_signals() -> None:
    """Undo what ``nohup`` and the background jobs of a script make every child ignore; for ``preexec_fn``."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
