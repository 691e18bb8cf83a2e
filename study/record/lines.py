"""The lines of a ledger: how an event is written and checked, and what is told of a line that cannot be read.

A line ends in a checksum of what stands before it, so that a line which a failing disk changed is not taken for true.
Lines of earlier versions have none and are read all the same; earlier versions read past it.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CHECKED = re.compile(rb', "crc32": "([0-9a-f]{8})"\}\s*$')
_TELLS = 5  # damaged lines that are named; of further ones the number is told


class UnreadableLine(ValueError):
    """A line that holds no event, or not the one that was written; the message says why."""


def line_of(event: Mapping[str, Any]) -> bytes:
    """Return an event as a line with its checksum.

    Examples
    --------
    >>> line_of({"event": "look", "replicates": 10})
    b'{"event": "look", "replicates": 10, "crc32": "7ad74c4c"}\\n'
    """
    text = json.dumps(event, allow_nan=True).encode()
    return text[:-1] + b', "crc32": "%08x"}\n' % zlib.crc32(text)


def event_of(line: bytes) -> dict[str, Any]:
    """Return the event that a line holds.

    Raises
    ------
    UnreadableLine
        It holds none, or its checksum does not match.
    """
    checked = _CHECKED.search(line)
    if checked and zlib.crc32(line[: checked.start()] + b"}") != int(checked[1], 16):
        raise UnreadableLine("its checksum does not match")
    try:
        event = json.loads(line)
    except ValueError:
        cut = not line.rstrip().endswith(b"}")
        raise UnreadableLine("it is cut short" if cut else "it is no JSON") from None
    if not isinstance(event, dict):
        raise UnreadableLine("it holds no event")
    return event


@dataclass(frozen=True)
class DamagedLine:
    """A line that could not be read.

    Attributes
    ----------
    number
        Its place in the file, from 1.
    why
        What is wrong with it.
    text
        What stands there.
    """

    number: int
    why: str
    text: bytes

    @property
    def cost(self) -> str:
        """What is lost with it, as far as it can be told, and what makes up for it."""
        kind, trial, replicate = (
            found[1].decode() if found else ""
            for found in (
                re.search(rb'"event": "(\w+)"', self.text),
                re.search(rb'"trial_id": "([\w.-]+)"', self.text),
                re.search(rb'"replicate": (\d+)', self.text),
            )
        )
        if kind == "replicate" and trial:
            which = f"replicate {replicate} of" if replicate else "a replicate of"
            return f"it recorded {which} {trial}, which is trained again where it still counts"
        if kind == "trial_finished" and trial:
            return f"it recorded the end of {trial}, which is decided again; nothing is trained for that"
        if kind == "trial_started" and trial:
            return (
                f"it recorded the start of {trial}, without which that trial's other lines say nothing; it is trained "
                "again if it is still wanted"
            )
        return "what it recorded cannot be told; what is missing is trained again"


def damage_in_words(path: Path, damaged: Sequence[DamagedLine]) -> str:
    """Return what is told of a ledger's damaged lines, of which there are some."""
    named = [f"Line {line.number} of {path} cannot be read ({line.why}): {line.cost}." for line in damaged]
    more = [f"{len(damaged) - _TELLS} further lines cannot be read."] if len(damaged) > _TELLS else []
    return " ".join(
        [
            *named[:_TELLS],
            *more,
            "Lines are cut short when a launch is killed, or its machine goes down, while it writes; any other damage "
            "is the disk's, or another program's.",
        ]
    )
