"""What no other beats in everything at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def pareto_front(points: Mapping[str, Sequence[float]], signs: Sequence[int]) -> set[str]:
    """Return the names of the points that no other one beats in one value without losing in another.

    Parameters
    ----------
    points
        The values of each, by name.
    signs
        Of each value: 1 where more is better, -1 where less is.

    Examples
    --------
    >>> sorted(pareto_front({"a": (0.1, 5.0), "b": (0.2, 9.0), "c": (0.1, 7.0)}, (1, -1)))
    ['a', 'b']
    """
    signed = {name: [s * value for s, value in zip(signs, own, strict=True)] for name, own in points.items()}

    def beats(one: list[float], other: list[float]) -> bool:
        return one != other and all(a >= b for a, b in zip(one, other, strict=True))

    return {name for name, own in signed.items() if not any(beats(other, own) for other in signed.values())}
