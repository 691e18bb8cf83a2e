"""The confirmation of a study: every arm on the test split beside vanilla, and the verdicts on the finalists."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.record.ledger import Ledger, TrialRecord
from study.statistics.judgement import Evidence, Judgement, Rules, judge
from study.statistics.looks import Looks
from study.verdict.evidence import COUNTED, Scores, evidence_of, paired_replicates
from trainables.interval import Interval
from trainables.method.arms import PAPER_ARM

Ratio = float | str
# What study.json says of a confirmation.
FACT = "confirmation"


@dataclass(frozen=True)
class ConfirmedArm:
    """One arm on the fresh replicates of one imbalance ratio.

    Attributes
    ----------
    record
        Its trial in the ledger.
    role
        ``vanilla``, ``winner`` (of pre-finetuning's search), ``paper`` (the paper's recipe, where that is not the
        winner) or ``control``.
    gain
        Over vanilla, with the interval that decides, which covers other test texts too.
    lead
        The winner minus this arm, likewise; None for the winner itself.
    judgement
        The verdict on a finalist; None for vanilla and controls, on which no claim rests.
    """

    record: TrialRecord
    role: str
    gain: Interval
    lead: Interval | None
    judgement: Judgement | None


@dataclass(frozen=True)
class ConfirmedRatio:
    """The confirmation at one imbalance ratio.

    Attributes
    ----------
    ratio
        The imbalance ratio.
    replicates
        Number of fresh replicates.
    arms
        Vanilla, the winner, the paper's recipe, then the controls.
    """

    ratio: Ratio
    replicates: int
    arms: tuple[ConfirmedArm, ...]

    def of_role(self, role: str) -> ConfirmedArm | None:
        """Return the arm of a role."""
        return next((arm for arm in self.arms if arm.role == role), None)

    @property
    def winner(self) -> ConfirmedArm:
        """The arm that the study's question is about."""
        found = self.of_role("winner")
        assert found is not None
        return found

    @property
    def verdict(self) -> Judgement:
        """The judgement on the winner."""
        assert self.winner.judgement is not None
        return self.winner.judgement

    @property
    def controls(self) -> list[ConfirmedArm]:
        """The arms that the winner has to be ahead of beside vanilla; the paper's recipe is not among them."""
        return [arm for arm in self.arms if arm.role == "control"]


@dataclass(frozen=True)
class ConfirmedStudy:
    """All of a study's confirmation.

    Attributes
    ----------
    metric
        Metric of the gains, on the test split.
    rules
        How verdicts are made.
    ratios
        The ratios on which there is a verdict.
    scores
        The kept scores that the verdicts rest on.
    """

    metric: str
    rules: Rules
    ratios: tuple[ConfirmedRatio, ...]
    scores: Scores

    @property
    def covers_texts(self) -> bool:
        """Whether intervals cover other test texts: those of metrics that are made of counts."""
        return self.metric.rpartition("/")[2] in COUNTED

    def at(self, ratio: Ratio) -> ConfirmedRatio | None:
        """Return the confirmation at a ratio."""
        return next((found for found in self.ratios if found.ratio == ratio), None)


def confirmation_facts(looks: Sequence[int], region: float) -> dict[str, Any]:
    """Return what ``study.json`` says of a confirmation: when it is looked at, and what counts as no difference."""
    return {"looks": list(looks), "region": region}


def test_metric(objective: str) -> str:
    """Return the metric of the test split that belongs to a validation metric."""
    return objective.replace("val", "test", 1) if objective.startswith("val") else objective


class Judge:
    """Gives the verdicts of a confirmation from the ledger and the kept scores.

    Parameters
    ----------
    ledger
        The study's ledger.
    facts
        ``looks`` and ``region``, see :func:`confirmation_facts`.
    classes
        Names of the classes.
    metric
        Metric of the gains, on a test set.
    scores
        Folder of the kept scores.
    """

    def __init__(
        self, ledger: Ledger, facts: Mapping[str, Any], classes: Sequence[str], metric: str, scores: Path
    ) -> None:
        self._ledger = ledger
        self._classes = tuple(classes)
        self._scores = Scores(scores)
        self._metric = metric
        looks = tuple(sorted({*facts["looks"], *ledger.looks}))
        planned = Looks(looks) if len(looks) > 1 and looks[0] > 1 else None
        self.rules = Rules(region=facts["region"], looks=planned)
        self._known: dict[tuple[object, ...], dict[Ratio, dict[str, Judgement]]] = {}

    def decided(self, replicates: Mapping[Ratio, int]) -> frozenset[Ratio]:
        """Return the ratios at which every finalist has a verdict, given so many replicates at each ratio."""
        judged = self.judged(replicates)
        return frozenset(
            ratio for ratio, found in judged.items() if found and all(j.is_decided for j in found.values())
        )

    def judged(self, replicates: Mapping[Ratio, int]) -> dict[Ratio, dict[str, Judgement]]:
        """Return the judgement on every finalist, by ratio and trial; all are corrected together."""
        there = {
            (ratio, arm.trial_id): (arm, vanilla, shared)
            for ratio, n in replicates.items()
            for vanilla, finalists in [self._compared(ratio)]
            if vanilla is not None
            for arm in finalists
            if len(shared := paired_replicates(arm, vanilla, n)) == n
        }
        key: tuple[object, ...] = (*replicates.items(), *there)  # one that failed may have been tried again
        if key not in self._known:
            evidence = {
                name: self._evidence(arm, vanilla, vanilla, shared)
                for name, (arm, vanilla, shared) in there.items()
            }
            found = judge(evidence, self.rules) if evidence else {}
            self._known[key] = {
                ratio: {trial: judgement for (at, trial), judgement in found.items() if at == ratio}
                for ratio in replicates
            }
        return self._known[key]

    def result(self, ratios: Sequence[Ratio]) -> ConfirmedStudy | None:
        """Return the verdicts, each as of the look that decided it or else of the last one; None before any look."""
        stopped: dict[Ratio, int] = {}
        last: dict[Ratio, dict[str, Judgement]] = {}
        now: dict[Ratio, int] = {}
        for n in sorted(self._ledger.looks):
            now = {ratio: stopped.get(ratio, n) for ratio in ratios}
            judged = self.judged(now)
            last |= {ratio: judged[ratio] for ratio in ratios if ratio not in stopped}
            stopped |= {ratio: n for ratio in self.decided(now) if ratio not in stopped}
        found = [self._ratio(ratio, n, last[ratio]) for ratio, n in now.items()]
        if not now:
            return None
        return ConfirmedStudy(self._metric, self.rules, tuple(filter(None, found)), self._scores)

    def _compared(self, ratio: Ratio) -> tuple[TrialRecord | None, list[TrialRecord]]:
        """Return vanilla (None if it was not confirmed), and the finalists: the winner and the paper's recipe."""
        begun = self._at(ratio)
        vanilla = next((trial for trial in begun if trial.arm == "vanilla"), None)
        # The winner is always the first that is started.
        return vanilla, [trial for trial in begun if trial.arm in ("prefinetune", PAPER_ARM)]

    def _at(self, ratio: Ratio) -> list[TrialRecord]:
        return [t for t in self._ledger.of_phase("confirmation") if t.imbalance_ratio == ratio]

    def _ratio(self, ratio: Ratio, n: int, judged: Mapping[str, Judgement]) -> ConfirmedRatio | None:
        vanilla, finalists = self._compared(ratio)
        if vanilla is None or not finalists or finalists[0].trial_id not in judged:
            return None  # vanilla or the winner failed
        winner = finalists[0]
        level = judged[winner.trial_id].confidence
        first = [vanilla, *finalists]
        arms = []
        for trial in (*first, *(trial for trial in self._at(ratio) if trial not in first)):
            role = "control" if trial not in first else PAPER_ARM
            role = {vanilla.trial_id: "vanilla", winner.trial_id: "winner"}.get(trial.trial_id, role)
            judgement = judged.get(trial.trial_id)
            gain = judgement.interval if judgement else self._interval(trial, vanilla, vanilla, n, level)
            lead = None if trial is winner else self._interval(winner, trial, vanilla, n, level)
            arms.append(ConfirmedArm(trial, role, gain, lead, judgement))
        return ConfirmedRatio(ratio, n, tuple(arms))

    def _interval(
        self, arm: TrialRecord, other: TrialRecord, vanilla: TrialRecord, n: int, level: float
    ) -> Interval:
        shared = paired_replicates(arm, other, n)
        if arm is other or not shared:
            return Interval(math.nan, None, None, 0)
        return self._evidence(arm, other, vanilla, shared).interval(level, self.rules.seed)

    def _evidence(
        self, arm: TrialRecord, other: TrialRecord, vanilla: TrialRecord, shared: list[int]
    ) -> Evidence:
        return evidence_of(arm, other, self._metric, shared, self._scores, vanilla, self._classes)
