"""One of two drivers that share a cache: trains some trials, and writes down what each replicate found there.

Command: ``python -m tests.hosts.nfs_client ENCODER CACHE OUT GO``. It makes the file ``OUT.ready`` and waits for the
file ``GO``. Then it writes a line to ``OUT`` for each replicate.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from trainables.corpora.drug_labels.sample import generate_sample
from trainables.prepared import RunSettings, prepare
from trainables.replicate import run_replicate
from trainables.settings import EncoderSettings, TrialSettings
from trainables.world import World

REPLICATES = 2
# Two of them share their stage 1, all of them the augmentations of each replicate.
TRIALS = tuple(
    TrialSettings(
        imbalance_ratio=0.2, operator="random_swap", strength=0.2, stage1_epochs=epochs, stage2_epochs=2.0,
        stage1_learning_rate=1e-3, stage2_learning_rate=rate,
    )
    for epochs, rate in ((1.0, 1e-3), (1.0, 3e-3), (2.0, 1e-3))
)  # fmt: skip


def main(encoder: str, cache: str, out: str, go: str) -> None:
    """Train."""
    settings = EncoderSettings(name=encoder, max_length=24, device="cpu")
    ready = prepare(generate_sample(500), settings, study_seed=1, max_validation_rows=None)
    run = RunSettings(
        study_seed=1, encoder=settings, profile="step", n_max=40, max_train_rows=None, cache_dir=cache
    )
    Path(f"{out}.ready").touch()
    while not Path(go).exists():
        time.sleep(0.01)
    with Path(out).open("w", encoding="utf-8") as file:
        for trial in TRIALS:
            for replicate in range(REPLICATES):
                record = run_replicate(ready, run, trial, replicate, World.single())
                found = {"metrics": record.metrics, "diagnostics": record.diagnostics}
                file.write(f"{json.dumps(found)}\n")
                file.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
