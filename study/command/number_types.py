"""Numbers among the options of a command: what is none, or cannot be one, is refused with what was expected."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def number(text: str, fits: Callable[[float], bool], expected: str) -> float:
    """Return a finite number that fits.

    Raises
    ------
    argparse.ArgumentTypeError
        It is none, or does not fit; says what was ``expected``.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and fits(value)):
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return value


def count(text: str) -> int:
    """Return a whole number above 0.

    Raises
    ------
    argparse.ArgumentTypeError
        It is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)
