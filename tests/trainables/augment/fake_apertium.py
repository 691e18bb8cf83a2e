"""An Apertium made by a test: a program, two modes a pair, and one filter that speaks Apertium's stream format.

Its Spanish and Catalan are English words with an ending. Back in English some words are others: ``rapidly``, and the
first word of every cluster of the toy vocabulary, which comes back as the second through Spanish and as the third
through Catalan. A block with ``die`` ends the filter, one with ``hang`` silences it, one with ``double`` comes twice.
"""

import os
import stat
import sys
from pathlib import Path

from tests.trainables.augment.toy import CLUSTERS

FILTER = """#!{python} -I
import os, re, sys, time
place, words, log = {place}, {words}, {log!r}
mode = sys.argv[-1]
with open(log, "a") as file:
    file.write(mode + "\\n")
{before}
there = mode.startswith("eng-")
ending = {{"spa": "os", "cat": "es"}}[mode.replace("eng", "").strip("-")]

def word(match):
    found = match[0]
    if match[1] or "qxq" in found:  # a blank, or a word that the dictionary lacks
        return found
    if there:
        return found + ending
    found = found[: -len(ending)] if found.endswith(ending) else found
    other = words.get(found.lower(), [found, found])[place[ending]]
    return other.capitalize() if found[0].isupper() else other

rest = b""
while got := os.read(0, 65536):
    *blocks, rest = (rest + got).split(b"\\0")
    for block in blocks:
        text = block.decode()
        if not text.startswith("["):
            if "die" in text:
                sys.exit("no such word: die")
            if "hang" in text:
                time.sleep(60)
            text = re.sub(r"(\\\\.|\\[(?:\\\\.|[^\\]])*\\])|(?<![\\w.])[A-Za-z]+(?![\\w])", word, text)
        for _ in range(2 if "double" in text else 1):
            data = text.encode() + b"\\0"
            while data:
                data = data[os.write(1, data) :]
"""


def install(folder: Path, pairs=("spa", "cat"), before="") -> Path:
    """Write it into a folder, as an installation prefix, and return the file that names every start of a filter."""
    binaries, modes = folder / "bin", folder / "share" / "apertium" / "modes"
    binaries.mkdir(parents=True, exist_ok=True)
    modes.mkdir(parents=True, exist_ok=True)
    words = {cluster.split()[0]: cluster.split()[1:3] for cluster in CLUSTERS}
    words["rapidly"] = ["quickly", "hastily"]
    log = folder / "starts"
    text = FILTER.format(
        python=sys.executable, place={"os": 0, "es": 1}, words=words, log=str(log), before=before
    )
    for name, content in (("apertium", "#!/bin/sh\necho 'Apertium 0.0.1'\n"), ("lt-fake", text)):
        (binaries / name).write_text(content)
        (binaries / name).chmod(stat.S_IRWXU)
    for pair in pairs:
        data = folder / f"{pair}.bin"
        data.write_text("1")
        for mode in (f"eng-{pair}", f"{pair}-eng"):
            (modes / f"{mode}.mode").write_text(f"lt-fake $1 '{data}' {mode}\n")
    return log


def use(monkeypatch, folder: Path | None) -> None:
    """Let only this Apertium be found, or none."""
    elsewhere = [p for p in os.environ["PATH"].split(os.pathsep) if not (Path(p) / "apertium").exists()]
    # The shell and its tools may lie beside the real one.
    places = elsewhere if folder is None else [str(folder / "bin"), *elsewhere, "/usr/bin", "/bin"]
    monkeypatch.setenv("PATH", os.pathsep.join(places))
    monkeypatch.delenv("APERTIUM_DATADIR", raising=False)
