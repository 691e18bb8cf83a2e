"""SST-2 with one class made rare, two classes: the setting of Hu et al. 2019, "Learning Data Manipulation".

Expect about 120 runs (preset ``laptop``, 50:1000) that train on 470,000 rows: ``--dry-run`` says what that takes on
your machine, and ``--minutes 30`` makes the study fit. Its ten replicates in the confirmation can show a gain of about
.05 in macro F1 (80 % power, a standard deviation of the paired differences of .04 assumed; so few rare rows may well
spread more, which the plan of a second launch knows). ``smoke`` takes some minutes and can show nothing.

Command::

    python -m study.launch sst2 --data FOLDER --counts 20:1000 50:1000 100:1000 --validation-per-class 10

Whole sentences: 20, 50 or 100 negative ones against 1,000 positive, a balanced validation set of 10 per class and the
test set of 1,821. ``--option units=phrases`` takes GLUE's 67,349 phrases instead. Without ``--data`` the published
files are downloaded.

Found (20:1000 and 50:1000 with ``--trials 2 --replicates 2 --arms oversample --arm-trials 0 --confirm 7``, 2.0 and 2.5
hours of work on a core of an AMD EPYC with AVX2, float32, beside other work; macro F1 on the balanced test set with 95
% intervals over seven fresh replicates; the pages are in ``findings/``). So little tuning, chosen on 20 texts, leaves
vanilla at hardly more than the majority: .333 [.333, .333] and .358 [.299, .416], behind logistic regression on its
own frozen encoder (.477 and .625). Over such a vanilla a verdict says little: at 20:1000 pre-finetuning (the paper's
recipe) is practically the same, +.000 [+.000, +.001]; at 50:1000 no difference is shown, +.055 [-.009, +.119], and for
the paper's recipe +.072 [-.006, +.149]. Post-hoc logit adjustment .383 [.275, .492] and .516 [.430, .602],
oversampling .349 and .444, compute-matched vanilla .333 and .367, TF-IDF .336 and .433. In accuracy vanilla has .499
and .511, the winner .499 and .536; Hu et al. publish .549 +- .060 and .677 +- .092 for vanilla bert-base-uncased after
ten epochs, and .751 +- .050 and .794 +- .026 with re-weighting by class.

100:1000 had time for five replicates, which can show nothing, of one recipe each (``--trials 1 --replicates 1 --arms
none --confirm 5``): the paper's recipe .602 [.565, .639] and vanilla .561 [.457, .666], +.041 [-.079, +.161]; post-hoc
logit adjustment .675, compute-matched vanilla .589, TF-IDF .552, the frozen encoder .725; accuracy .648 and .622,
where Hu et al. publish .750 +- .045 for vanilla and .818 +- .019 with re-weighting.
"""

from __future__ import annotations

from typing import Any

from study.config.presets import PREFINETUNING, presets

STUDY: dict[str, Any] = {**PREFINETUNING, "corpus": "sst2", "profile": "step"}

PRESETS = presets(
    laptop={"imbalance_ratios": (0.05,), "n_max": 1000, "max_train_rows": None},
    cluster={
        "max_length": 64,
        "imbalance_ratios": (0.02, 0.05, 0.1),
        "n_max": 1000,
        "validation_per_class": 10,
    },
)
