"""The end of a launch, whatever brought it: the report is written, and MLflow is left with no run RUNNING."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from study.record.folder import StudyFolder, unwritable
from study.record.ledger import Ledger
from study.run.signals import ENDING_SIGNALS, GOES_ON
from study.tracking.addition import verdict_of
from study.tracking.tracker import Tracker
from study.verdict.comparison import Comparison, build_comparison
from study.verdict.export import write_figures
from study.verdict.report import write_report
from study.verdict.verdict_words import arm_sentence
from trainables.errors import StudyError, StudyStopped


@dataclass(frozen=True)
class Ending:
    """What is done at the end of a launch.

    Attributes
    ----------
    folder, facts, ledger
        The study's folder, what ``study.json`` says, and the record of its trials.
    tracker
        MLflow.
    say
        Called with each line for the user.
    """

    folder: StudyFolder
    facts: Mapping[str, Any]
    ledger: Ledger
    tracker: Tracker
    say: Callable[[str], None]

    def finish(self, comparison: Comparison) -> Path:
        """Write the report and its figures of a launch that did all that it owed, and close MLflow.

        Parameters
        ----------
        comparison
            What was found.

        Raises
        ------
        StudyStopped
            The report or a figure cannot be written.
        """
        try:
            report = self._report(comparison)
            with unwritable(self.folder.root):
                figures = write_figures(comparison, self.folder.figures)
            if figures:
                self.tracker.log_artifacts([self.folder.figures])
        finally:
            self.tracker.close("FINISHED")
        return report

    def after(self, failure: BaseException) -> None:
        """Close MLflow and write the report of a launch that failed or was interrupted.

        Nothing that goes wrong here may hide the failure itself, so it is told in a line. MLflow comes first: who
        sends a signal may not wait for long.
        """
        interrupted = isinstance(failure, KeyboardInterrupt)
        if interrupted:
            self.say(f"Interrupted: {GOES_ON}.")
        for what, step in (
            ("MLflow could not be brought up to date", lambda: self._close(interrupted)),
            (
                "The report could not be written",
                lambda: self._report(build_comparison(self.ledger, self.facts)),
            ),
        ):
            try:
                step()
            except Exception as error:
                self.say(f"{what}: {_reason(error)}")

    def at_once(self, failure: StudyStopped | None) -> NoReturn:
        """End the process from another thread, because the main one hangs in a lost Ray.

        Parameters
        ----------
        failure
            What stops the study; None after a signal.
        """
        code = 1 if failure is not None else ENDING_SIGNALS.exit_code
        try:
            self.after(failure or KeyboardInterrupt())
            self.say(f"Stopped: {failure}" if failure is not None else ENDING_SIGNALS.name.capitalize())
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)

    def _close(self, interrupted: bool) -> None:
        self.tracker.close("KILLED" if interrupted else "FAILED")

    def _report(self, comparison: Comparison) -> Path:
        with unwritable(self.folder.root):
            report = write_report(comparison)
        for found in comparison.confirmation.ratios if comparison.confirmation else ():
            for arm in found.arms:
                self.tracker.add_to_run(
                    arm.record.trial_id, verdict_of(arm, arm_sentence(arm, found, comparison))
                )
        self.tracker.log_artifacts([report, self.folder.facts])
        return report


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, (StudyError, OSError)) else f"{type(error).__name__}: {error}"
