"""TREC questions by the kind of answer: six classes, one of them naturally rare (86 of 5,452).

Expect about 200 runs (preset ``laptop``, two ratios) that train on 590,000 rows of about ten words: ``--dry-run`` says
what that takes on your machine, and ``--minutes 30`` makes the study fit. Its ten replicates in the confirmation can
show a gain of about .06 in macro F1 (80 % power, a standard deviation of the paired differences of .04 assumed).
At strengths of .05 and .1 the same comes out of 95-99 % of these short texts: only larger ones can matter. ``smoke``
takes some minutes and can show nothing.

Command::

    python -m study.launch trec --data FOLDER

At imposed ratios half of the classes are rare; ``--set profile=exponential`` makes a long tail instead. Without
``--data`` the published files are downloaded.

Found (``--profile exponential --imbalance-ratio 0.1 --minutes 12``: 13 minutes on an AMD EPYC with two cores and
AVX-512, bfloat16, beside other work; 420 training rows, four trials for vanilla and for pre-finetuning, eight fresh
replicates, 281 test questions; macro F1 with 95 % intervals; the page is in ``findings/``): the screening chose the
paper's recipe; no difference from tuned vanilla is shown, .883 [.863, .903] and .910 [.899, .921], gain -.027 [-.055,
+.000]. Post-hoc logit adjustment .888, logit-adjusted loss .872, the frozen encoder .792, TF-IDF .685.
"""

from __future__ import annotations

from typing import Any

from study.config.presets import PREFINETUNING, presets

STUDY: dict[str, Any] = {**PREFINETUNING, "corpus": "trec", "profile": "step"}

PRESETS = presets(
    laptop={"max_length": 48},
    cluster={"max_length": 64, "imbalance_ratios": ("natural", 0.5, 0.2, 0.1, 0.05)},
)
