"""What is wrong with a cluster's file: places left to fill in, and doors that are no address range."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# In `provider:` of the file: from where ssh may come, as ranges, or this word for the machine that runs `ray up`.
SSH_FROM = "ssh_from"
THIS_MACHINE = "this-machine"
_PLACEHOLDER = re.compile(r"<[A-Z][A-Z0-9_ -]*>|\b(?:ami|fs|sg|subnet|vpc)-0{8,}\b|\bCHANGE[-_ ]?ME\b")


def stated_faults(config: Mapping[str, Any]) -> list[str]:
    """Return everything that is wrong with a cluster's file beyond what Ray's own schema finds."""
    faults = [
        f"{place} still holds the placeholder {found[0]!r}: put your own value there."
        for place, text in _strings(config)
        if (found := _PLACEHOLDER.search(text))
    ]
    stated = config["provider"].get(SSH_FROM)
    if not isinstance(stated, list) or not stated:
        faults.append(
            f"provider.{SSH_FROM} is {stated!r}: a list of address ranges was expected that may reach the cluster by "
            f"ssh, e.g. [203.0.113.0/24], or [{THIS_MACHINE}]."
        )
    else:
        faults += [fault for given in stated if (fault := _range_fault(given)) is not None]
    return faults


def _range_fault(given: object) -> str | None:
    if given == THIS_MACHINE:
        return None
    try:
        ipaddress.ip_network(str(given))
    except ValueError as error:
        return (
            f"provider.{SSH_FROM} names {given!r}, which is no address range ({error}); e.g. 203.0.113.0/24."
        )
    return None


def _strings(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield every string of nested lists and objects, with its place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _strings(each, f"{place}.{key}" if place else str(key))
    elif isinstance(value, Sequence):
        for i, each in enumerate(value):
            yield from _strings(each, f"{place}[{i}]")
