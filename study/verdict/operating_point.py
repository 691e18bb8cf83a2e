"""Whether a gain is more than another operating point: it is taken again with class offsets fitted for both arms."""

from __future__ import annotations

from dataclasses import dataclass

from study.verdict.comparison import Comparison, Result
from study.verdict.statistics import mean_gain, paired_gain
from study.verdict.words import at_ratio
from trainables.interval import Interval
from trainables.trial import with_offsets

_MEANING = {
    "survives": "the gain survives",
    "operating point": "the gain is one of operating point",
    "no longer shown": "the gain is no longer shown; whether it is one of operating point needs more replicates",
    "revealed": "a gain that is shown only so",
    "no gain": "no gain is shown so either",
}


@dataclass(frozen=True)
class WithOffsets:
    """The leading trial against vanilla, on the replicates on which both were scored with class offsets too.

    Attributes
    ----------
    plain
        The gain without offsets.
    gain
        The gain where both have offsets.
    lost
        The first minus the second, paired.
    """

    plain: Interval
    gain: Interval
    lost: Interval

    @property
    def reading(self) -> str:
        """What becomes of the gain.

        ``survives``; ``operating point`` (no longer shown, and shown to be smaller); ``no longer shown`` (but not
        shown to be smaller); ``revealed`` (shown with offsets alone); ``no gain`` (neither way); ``no interval`` (too
        few replicates).
        """
        if self.gain.leaves_out_zero is None:
            return "no interval"
        if _is_shown(self.gain):
            return "survives" if _is_shown(self.plain) else "revealed"
        if _is_shown(self.plain):
            return "operating point" if _is_shown(self.lost) else "no longer shown"
        return "no gain"


def _is_shown(gain: Interval) -> bool:
    return gain.mean > 0 and gain.leaves_out_zero is True


def with_fitted_offsets(leading: Result, vanilla: Result, metric: str) -> WithOffsets:
    """Compare the leading trial with vanilla, both with class offsets.

    Parameters
    ----------
    leading, vanilla
        Two results at one imbalance ratio.
    metric
        The metric without offsets. Where it has no values with offsets, all intervals have n = 0: offsets do not change
        it, or an earlier version wrote the ledger.
    """
    ours, theirs = (result.record.values(metric) for result in (leading, vanilla))
    offset_ours, offset_theirs = (result.record.values(with_offsets(metric)) for result in (leading, vanilla))
    both = ours.keys() & theirs.keys() & offset_ours.keys() & offset_theirs.keys()
    plain = {r: ours[r] - theirs[r] for r in both}
    gain = {r: offset_ours[r] - offset_theirs[r] for r in both}
    return WithOffsets(
        mean_gain(plain.values(), metric), mean_gain(gain.values(), metric), paired_gain(plain, gain)
    )


def _meaning(found: WithOffsets) -> str:
    if found.reading != "no interval":
        return _MEANING[found.reading]
    return "one replicate tells nothing" if found.gain.n == 1 else f"{found.gain.n} replicates tell nothing"


def operating_point_sentence(comparison: Comparison) -> str:
    """Say whether the leading trial's gain survives class offsets for both arms; empty where that is not known."""
    parts = []
    for ratio, leading in comparison.best.items():
        vanilla = comparison.baseline(ratio, "vanilla")
        found = with_fitted_offsets(leading, vanilla, comparison.metric) if vanilla else None
        if found is not None and found.gain.is_defined:
            parts.append(f"{found.gain.text(signed=True)} {at_ratio(ratio)} ({_meaning(found)})")
    if not parts:
        return ""
    return (
        f"The {comparison.leading_name} minus vanilla where both have class offsets fitted on validation, which costs "
        f"no training: {', '.join(parts)}."
    )
