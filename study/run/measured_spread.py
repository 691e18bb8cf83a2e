"""What a study can show, told again once its own replicates say how far differences spread."""

from __future__ import annotations

from study.config.study import StudyConfig
from study.record.ledger import Ledger, TrialRecord
from study.run.detectable import detectable_sentence, expected_spread

# Each look goes through all trials. What so many of them did not tell is left to the confirmation.
_MOST_LOOKS = 30


class MeasuredSpread:
    """Tell the detectable gain once more, as soon as vanilla is done and the spread is measured at every ratio.

    Vanilla alone tells it from four replicates on; with fewer, the first trials that pair with it do.

    Parameters
    ----------
    config
        The study.
    ledger
        Its ledger; if that of an earlier launch tells the spread, the plan has told it already.
    confirming
        Seconds that the planned confirmation takes.
    """

    def __init__(self, config: StudyConfig, ledger: Ledger, confirming: float) -> None:
        self._config = config
        self._ledger = ledger
        self._confirming = confirming
        plans = config.confirmation_replicates and not config.test_sets
        self._looks_left = _MOST_LOOKS if plans and not self._is_measured() else 0

    def sentence(self, trial: TrialRecord) -> str:
        """Return the sentence when a trial's end makes it due, once; empty at any other time."""
        if not self._looks_left or trial.state == "running" or not self._vanilla_is_done():
            return ""
        self._looks_left -= 1
        if not self._is_measured():
            return ""
        self._looks_left = 0
        return "Vanilla is done. " + detectable_sentence(self._config, self._ledger, self._confirming)

    def _vanilla_is_done(self) -> bool:
        found = (self._ledger.reference(ratio) for ratio in self._config.imbalance_ratios)
        return all(vanilla is not None and vanilla.state == "complete" for vanilla in found)

    def _is_measured(self) -> bool:
        ratios = self._config.imbalance_ratios
        return all(expected_spread(self._config, self._ledger, ratio).is_measured for ratio in ratios)
