"""Which failed trials of an earlier launch a launch of the same command tries again."""

from __future__ import annotations

from study.config import StudyConfig
from study.ledger import SEARCH_PHASES, Ledger
from study.owed import Owed
from study.tracks import tracks_of


def reopen_searched(config: StudyConfig, ledger: Ledger) -> None:
    """Start those failed trials of an earlier launch's searches again whose cause can pass.

    A diverged trial is an answer, and stays. For the search's replay this has to be done before it.
    """
    tracks = {track.key for track in tracks_of(config)}
    for trial in ledger.of_phase(*SEARCH_PHASES):
        if trial.state == "failed" and trial.can_pass and (trial.arm, trial.imbalance_ratio) in tracks:
            ledger.restart_trial(trial)


def reopen_owed(owed: Owed, ledger: Ledger) -> None:
    """Start failed trials that are the only ones of their kind again.

    A candidate of the reference's tuning is one of several, and comes too late where the reference is known.
    """
    for phase in ("reference_tuning", "reference", "control"):
        for planned in owed.of_phase(phase):
            trial = ledger.trials.get(planned.trial_id)
            is_late = phase == "reference_tuning" and (
                ledger.reference(planned.settings.imbalance_ratio) is not None
            )
            if trial is not None and trial.state == "failed" and not is_late:
                ledger.restart_trial(trial)
