"""ADME classification of pharmacokinetics paragraphs of FDA drug labels, five classes.

Expect ten minutes (preset ``laptop``) on any machine: rows, trials and replicates are chosen to fit, and the plan says
which gain they can show: with the seven replicates that a confirmation needs at least, about .08 in macro F1, with ten
.05 (80 % power, a standard deviation of the paired differences of .04 assumed). ``--minutes 60`` takes more of
everything; ``smoke`` takes some minutes and can show nothing.

Command::

    python -m study.launch adme --data labels.jsonl.gz

Every control tuned on its own with the budget of pre-finetuning, as in the preset ``cluster``::

    python -m study.launch adme --data labels.jsonl.gz --arms all --arm-trials same

Found (preset ``laptop`` in ``--minutes 17`` at the natural imbalance ratio: 13 minutes on an AMD EPYC with two cores
and AVX-512, bfloat16; 1,111 labels, split by substance; 292 training rows, three trials an arm, eight fresh replicates,
247 test paragraphs; macro F1 with 95 % intervals; the page is in ``findings/``): no difference between pre-finetuning
and tuned vanilla is shown, .809 [.783, .834] and .801 [.776, .825], gain +.008 [-.015, +.030]. The paper's recipe .794
[.755, .833], gain -.007 [-.037, +.024]. TF-IDF with logistic regression, in a third of a second, is ahead of both: .887
[.871, .902]. With ``--imbalance-ratio 0.1 --minutes 60`` on one core (44 minutes; up to 457 training rows, three trials
an arm, nine fresh replicates, 481 test paragraphs) again none is shown: .811 [.794, .827] and .812 [.792, .832], gain
-.001 [-.028, +.026]; the paper's recipe -.024 [-.066, +.018]; TF-IDF .866 [.858, .874], again ahead of both.

Without ``--data`` the labels are the first 1,000 of openFDA by identity (``--labels all`` takes every label, as the
preset ``cluster`` does); without a network the corpus is a generated sample, whose results mean nothing about FDA
labels.
"""

from __future__ import annotations

from typing import Any

from study.config.presets import PREFINETUNING, presets

STUDY: dict[str, Any] = {**PREFINETUNING, "corpus": "adme", "profile": "step"}

# `make study` ends in ten minutes on any machine: a plan that measures the machine makes the preset fit. Its minutes go
# into draws that a model can learn from, before further controls.
PRESETS = presets(laptop={"minutes": 10.0, "arms": ()}, cluster={"corpus_options": {"labels": "all"}})
