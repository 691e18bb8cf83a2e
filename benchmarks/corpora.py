"""Seconds and peak memory of reading and splitting a large table: 200,000 paragraphs from a file of 300 MB.

Command::

    python -m benchmarks.corpora

The paragraphs are generated from random words, in groups of ten; one in twenty is a near-copy of the one before.
Reading and splitting run in their own process, so that the peak is theirs alone. The reference is ``pandas.read_csv``
of the same file in another process, which neither checks nor splits anything. ``ratio`` is the peak memory of the whole
process, interpreter included, over the size of the texts.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processes import process_pool
from study.command.cli import run_command

_WORDS_PER_PARAGRAPH = 215
_CLASSES = ("absorption", "distribution", "metabolism", "excretion", "other")
_ROWS_PER_GROUP = 10


def write_paragraphs(path: Path, n: int, seed: int = 0) -> None:
    """Write n paragraphs of some 1,500 characters with label and group as CSV."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyzµéß"))
    words = ["".join(rng.choice(letters, rng.integers(3, 10))) for _ in range(20_000)]
    earlier: list[str] = []
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label", "group"))
        for index in range(n):
            picked = [words[i] for i in rng.integers(0, len(words), _WORDS_PER_PARAGRAPH)]
            if earlier and rng.random() < 0.05:
                picked = [*earlier, words[int(rng.integers(len(words)))]]
            earlier = picked[:_WORDS_PER_PARAGRAPH]
            label = _CLASSES[int(rng.integers(len(_CLASSES)))]
            writer.writerow((" ".join(picked), label, f"group {index // _ROWS_PER_GROUP}"))


def read_and_split(path: Path) -> dict[str, Any]:
    """Return the time and memory that reading and splitting a table took in this process."""
    from trainables.corpora.leakage import split_corpus
    from trainables.corpora.registry import read_corpus

    before = _peak_mb()
    start = time.perf_counter()
    corpus = read_corpus("tabular", str(path), text="text", label="label", group="group")
    read = time.perf_counter()
    split = split_corpus(corpus, seed=0)
    end = time.perf_counter()
    return {
        "rows": len(corpus),
        "text_mb": sum(len(text.encode()) for text in corpus.texts) / 1e6,
        "read_s": read - start,
        "split_s": end - read,
        "start_mb": before,
        "peak_mb": _peak_mb(),
        "parts": [len(split.train), len(split.validation), len(split.test)],
    }


def read_with_pandas(path: Path) -> dict[str, Any]:
    """Return the time and memory that pandas took to read the same table in this process."""
    import pandas

    start = time.perf_counter()
    rows = len(pandas.read_csv(path))
    return {"rows": rows, "read_s": time.perf_counter() - start, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (1e6 if sys.platform == "darwin" else 1e3)


def _in_own_process(read: Callable[[Path], dict[str, Any]], path: Path) -> dict[str, Any]:
    with process_pool(1) as pool:
        return pool.submit(read, path).result()


def measure(args: argparse.Namespace) -> int:
    """Print the figures as one JSON object."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "paragraphs.csv"
        write_paragraphs(path, args.paragraphs)
        file_mb = path.stat().st_size / 1e6
        ours = _in_own_process(read_and_split, path)
        reference = _in_own_process(read_with_pandas, path)
    figures = {
        "file_mb": file_mb,
        **ours,
        "reference_read_s": reference["read_s"],
        "reference_peak_mb": reference["peak_mb"],
        "ratio": ours["peak_mb"] / ours["text_mb"],
    }
    rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in figures.items()}
    print(json.dumps(rounded))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.corpora", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--paragraphs", type=int, default=200_000, help="how many (default: %(default)s)")
    return run_command(measure, parser, argv)


if __name__ == "__main__":
    sys.exit(main())
