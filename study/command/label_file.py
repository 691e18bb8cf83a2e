"""Labels of a file's texts, written as they come; what a killed command has written is not computed again.

Texts go through the model in chunks, always the same ones, so that a file is the same to the byte however often its
command was killed: an output that is under way is cut back to its last complete chunk.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.corpora.new_texts import NewText
from trainables.errors import ConfigurationError
from trainables.settings import digest_of

CHUNK = 256  # texts
_DECIMALS = 6
_CSV = ".csv"

Result = dict[str, Any]


@dataclass(frozen=True)
class Labeller:
    """What gives texts their labels.

    Attributes
    ----------
    classes
        C class names.
    probabilities
        Returns the (n, C) probabilities of n texts.
    abstain_below
        A text whose largest probability is smaller gets no label.
    """

    classes: Sequence[str]
    probabilities: Callable[[Sequence[str]], npt.NDArray[np.float64]]
    abstain_below: float = 0.0

    def label(self, texts: Iterable[NewText]) -> Iterator[list[Result]]:
        """Yield the results of the texts, chunk by chunk."""
        left = iter(texts)
        while chunk := list(islice(left, CHUNK)):
            found = self.probabilities([each.text for each in chunk])
            yield [self._result(text, of) for text, of in zip(chunk, found, strict=True)]

    def _result(self, text: NewText, probabilities: npt.NDArray[np.float64]) -> Result:
        best = int(probabilities.argmax())
        result: Result = {
            "row": text.row,
            "label": self.classes[best] if probabilities[best] >= self.abstain_below else None,
            "probabilities": {
                name: round(float(p), _DECIMALS) for name, p in zip(self.classes, probabilities, strict=True)
            },
        }
        return result | ({"origin": text.origin, "heading": text.heading} if text.origin else {})


def as_line(result: Result) -> str:
    """Return a result as a line of JSON."""
    return json.dumps(result, ensure_ascii=False) + "\n"


class LabelFile:
    """An output file under way, beside the place where it appears once it is complete.

    Parameters
    ----------
    output
        The file: JSON Lines, or CSV if its name says so.
    identity
        What the results depend on: what was written under another identity is not taken over.

    Raises
    ------
    ConfigurationError
        There is no such folder, or it cannot be written.
    """

    def __init__(self, output: Path, identity: Any) -> None:
        if output.is_dir():
            raise ConfigurationError(f"--output {output}: a folder, expected the name of a file.")
        self.output = output
        self._partial = output.with_name(f".{output.name}-{digest_of(identity)}.partial")
        try:
            for other in output.parent.glob(f".{output.name}-*.partial"):
                if other != self._partial:
                    other.unlink()
            self._partial.touch()
        except OSError as error:
            raise ConfigurationError(
                f"--output {output}: cannot be written ({error.strerror}); name a file in an existing folder."
            ) from error

    def resume(self) -> int:
        """Cut off what follows the last complete chunk, and return how many results remain."""
        end = kept = kept_end = 0
        with self._partial.open("r+b") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    break
                end += len(line)
                if number % CHUNK == 0:
                    kept, kept_end = number, end
            file.truncate(kept_end)
        return kept

    def append(self, results: Sequence[Result]) -> None:
        """Write a chunk of results."""
        with self._partial.open("a", encoding="utf-8") as file:
            file.write("".join(map(as_line, results)))

    def results(self) -> Iterator[Result]:
        """Yield what was written so far."""
        with self._partial.open(encoding="utf-8") as file:
            yield from map(json.loads, file)

    def finish(self, classes: Sequence[str]) -> None:
        """Let the complete file appear."""
        if self.output.name.lower().endswith(_CSV):
            table = self._partial.with_suffix(_CSV)
            with table.open("w", encoding="utf-8", newline="") as file:
                _write_csv(file, self.results(), classes)
            os.replace(table, self.output)
            self._partial.unlink()
        else:
            os.replace(self._partial, self.output)


def _write_csv(file: Any, results: Iterator[Result], classes: Sequence[str]) -> None:
    writer = csv.writer(file)
    for number, result in enumerate(results):
        more = [name for name in ("origin", "heading") if name in result]
        if number == 0:
            writer.writerow(["row", "label", *classes, *more])
        shares = (result["probabilities"][name] for name in classes)
        writer.writerow([result["row"], result["label"], *shares, *(result[name] for name in more)])
