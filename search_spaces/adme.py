"""ADME classification of pharmacokinetics paragraphs of FDA drug labels, five classes.

Expect ten minutes (preset ``laptop``) on any machine: rows, trials and replicates are chosen to fit, and the plan says
which gain they can show: with the seven replicates that a confirmation needs at least, about .08 in macro F1, with ten
.05 (80 % power, a standard deviation of the paired differences of .04 assumed). ``--minutes 60`` takes more of
everything; ``smoke`` takes some minutes and can show nothing.

Command::

    python -m study.launch adme --data labels.jsonl.gz

Every control tuned on its own with the budget of pre-finetuning, as in the preset ``cluster``::

    python -m study.launch adme --data labels.jsonl.gz --arms all --arm-trials same

Expected result: to be stated with mean and range over repeats once a confirmation has been run; until then
the study makes no claim. Without ``--data`` the labels are the first 1,000 of openFDA by identity (``--labels all``
takes every label, as the preset ``cluster`` does); without a network the corpus is a generated sample, whose results
mean nothing about FDA labels.
"""

from __future__ import annotations

from typing import Any

from study.config.presets import PREFINETUNING, presets

STUDY: dict[str, Any] = {**PREFINETUNING, "corpus": "adme", "profile": "step"}

# `make study` ends in ten minutes on any machine: a plan that measures the machine makes the preset fit. Its minutes go
# into draws that a model can learn from, before further controls.
PRESETS = presets(laptop={"minutes": 10.0, "arms": ()}, cluster={"corpus_options": {"labels": "all"}})
