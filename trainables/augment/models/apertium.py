"""Apertium (Forcada et al. 2011), a rule-based translator: dictionaries, a tagger and transfer rules on a processor.

It is no pretrained neural model: there is nothing to download but Debian's packages, it needs no GPU and no network, it
has no context beyond a few neighbouring words, and it draws nothing: a sentence has one translation. What its
dictionaries lack (names, codes, numerals, most technical terms) it leaves as it is, which is why values survive; the
price is clumsy English.

Its format is a stream of words in which blanks stand in brackets. Sentences are escaped for it here, one a block, each
with the artificial full stop that Apertium's own filters add so that no sentence waits for the next one. What the
operators on words leave alone and Apertium would not goes as a blank (references in brackets) or as a word that no
dictionary has: compounds ("half-life" came back as "half-the life") and words of statistics (the mean as the bad one).
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from trainables.augment.english.protect import STATISTICS
from trainables.augment.models import tagger_without_memory
from trainables.augment.models.kept_open import KeptOpen
from trainables.errors import ConfigurationError, TrialFailed

PROGRAM = "apertium"
_TAGGER = "apertium-tagger"
_SILENCE_S = 60.0  # hundreds of times what a long sentence takes
_MEMORY = 1 << 16  # translations kept
_STOP = ".[]"  # Apertium's artificial end of a sentence
_TRIES = 2  # starts of a process that does not even pass the first mark
_RESERVED = re.compile(r"[\\^$@\[\]{}<>/]")
_DROPPED = re.compile("[~\u00ad]")  # signs of the stream's last stage: as blanks they pass
_REFERENCE = re.compile(
    r"\[[^\[\]]{1,200}\]|\( ?see [^()]{0,200}(?:\([^()]{1,30}\)[^()]{0,200})*\)", re.IGNORECASE
)
_KEPT = re.compile(
    rf"\b(?:[a-z]+(?:-[a-z]+)+|{'|'.join(sorted(STATISTICS, key=len, reverse=True))})\b(?!-)", re.IGNORECASE
)
_KEEPER = "qxq"  # in the place of a hyphen, or after a word: no dictionary of a language has such a word
_KEPT_BACK = re.compile(rf"{_KEEPER}(\w?)", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)|[\[\]]", re.DOTALL)
_SPACED_MARK = re.compile(r" ([.,;:!?)\]%])")
_CAPITALISED = re.compile(r"(?<=\s)[A-Z][a-z]+\b")
_FINAL = ".!?:;"


class ApertiumTranslator:
    """Translates in one direction by a mode of Apertium, in one process that stays open.

    Parameters
    ----------
    mode
        Direction as Apertium names it, e.g. ``eng-spa``.
    silence_s
        Seconds without an answer after which the process counts as stuck and is started anew.

    Raises
    ------
    ConfigurationError
        Apertium, or the mode, is not installed.
    """

    def __init__(self, mode: str, silence_s: float = _SILENCE_S) -> None:
        here = installed()
        if here.program is None or mode not in here.modes:
            raise ConfigurationError(f"Apertium is not installed here with the mode {mode}")
        self.mode = mode
        path = f"{Path(here.program).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        self.process = KeptOpen(
            ["sh", "-c", pipe_of(here.modes[mode].read_text(encoding="utf-8"))],
            {**os.environ, "LC_ALL": "C.UTF-8", "PATH": path},
            mark="[{}]",
            silence_s=silence_s,
        )
        self._known: dict[str, str | None] = {}
        self._lock = threading.Lock()

    def translate(self, sentences: Sequence[str], keys: Sequence[int]) -> list[str | None]:
        """Return a translation of each sentence, None where Apertium fails; ``keys`` do not enter: nothing is drawn.

        Raises
        ------
        TrialFailed
            Apertium does not run, or says nothing.
        """
        del keys
        with self._lock:
            new = [s for s in dict.fromkeys(sentences) if s not in self._known]
            if len(self._known) + len(new) > _MEMORY:
                self._known.clear()
                new = list(dict.fromkeys(sentences))
            sendable = [s for s in new if _is_sendable(s)]
            self._known.update(dict.fromkeys(new))
            for sentence, made in zip(sendable, self._translated(sendable), strict=True):
                self._known[sentence] = None if made is None else self._text(made, sentence)
            return [self._known[sentence] for sentence in sentences]

    def _text(self, block: str, source: str) -> str:
        text = tidied(block, source)
        return uncovered(text) if self.mode.endswith("-eng") else text

    def _block(self, sentence: str) -> str:
        return escaped(covered(sentence) if self.mode.startswith("eng-") else sentence)

    def _translated(self, sentences: Sequence[str]) -> list[str | None]:
        """Send sentences through the process; what keeps failing is cornered by halving, and comes out as None."""
        made: list[str | None] = []
        todo = [list(sentences)] if sentences else []
        silent = 0
        while todo:
            part = todo.pop()
            sent = self.process.exchange([self._block(sentence) for sentence in part])
            made += sent.done
            left = part[len(sent.done) :]
            silent = 0 if sent.answered else silent + 1
            if silent == _TRIES:
                raise TrialFailed(
                    f"Apertium cannot translate {self.mode}: {sent.failure}. Try `echo word | {PROGRAM} {self.mode}`."
                )
            if not left:
                continue
            if sent.done or not sent.answered:
                todo.append(left)
            elif len(left) == 1:
                made.append(None)
            else:
                middle = len(left) // 2
                todo += [left[middle:], left[:middle]]
        return made


def pipe_of(mode: str) -> str:
    """Return the shell's pipe of a mode's file: blocks that end with a NUL, no marks of unknown words, no memory.

    The program ``apertium`` runs the same pipe, between filters of its own that hold blocks back and with a tagger
    that remembers (:mod:`trainables.augment.models.tagger_without_memory`).

    Examples
    --------
    >>> pipe_of("lt-proc 'a.bin' | lt-proc $1 'b.bin'")
    "lt-proc -z 'a.bin' | lt-proc -z -n 'b.bin'"
    """
    stages = []
    for stage in mode.strip().split("|"):
        program, *arguments = stage.replace("$1", "-n").replace("$2 ", "").strip().split(None, 1)
        remembers = program == _TAGGER and "x" not in arguments[0].split()[0]  # -gx is another tagger
        command = " ".join([program, "-z", *["-d"] * remembers, *arguments])
        if remembers:
            command = f"{shlex.join([sys.executable, '-I', tagger_without_memory.__file__])} {command}"
        stages.append(command)
    return " | ".join(stages)


def _is_sendable(sentence: str) -> bool:
    return "\0" not in sentence and not any("\ud800" <= character <= "\udfff" for character in sentence)


def escaped(sentence: str) -> str:
    """Return a sentence as a block of Apertium's stream.

    Examples
    --------
    >>> escaped("5 mg/L [see  Table 1] ~6")
    '5 mg\\\\/L [\\\\[see Table 1\\\\]] [~]6.[]'
    """
    plain = " ".join(sentence.split())
    parts, end = [], 0
    for reference in _REFERENCE.finditer(plain):
        parts += [_words(plain[end : reference.start()]), f"[{_reserved(reference[0])}]"]
        end = reference.end()
    return "".join([*parts, _words(plain[end:]), _STOP])


def _words(text: str) -> str:
    return _DROPPED.sub(r"[\g<0>]", _reserved(text))


def _reserved(text: str) -> str:
    return _RESERVED.sub(r"\\\g<0>", text)


def covered(sentence: str) -> str:
    """Return an English sentence with words that no dictionary has in the place of those that have to stay.

    Examples
    --------
    >>> covered("the mean half-life"), uncovered("la meanqxq Halfqxqlife")
    ('the meanqxq halfqxqlife', 'la mean Half-life')
    """
    return _KEPT.sub(
        lambda word: word[0].replace("-", _KEEPER) if "-" in word[0] else word[0] + _KEEPER, sentence
    )


def uncovered(text: str) -> str:
    """Return a text with the words that :func:`covered` hid."""
    return _KEPT_BACK.sub(lambda keeper: f"-{keeper[1]}" if keeper[1] else "", text)


def tidied(block: str, source: str) -> str:
    """Return a translated block as text, with the casing, spacing and last mark of its source.

    Apertium begins every sentence with a capital, writes capitals in odd places, leaves gaps where a word has no
    counterpart, and moves marks. A translation that differs in white space alone comes back as the source.

    Examples
    --------
    >>> tidied("El  vaso Es  grande.[]", "the glass is large.")
    'el vaso es grande.'
    """
    text = " ".join(_ESCAPED.sub(r"\1", block.removesuffix(_STOP)).split())
    plain = " ".join(source.split())
    text = _SPACED_MARK.sub(lambda mark: mark[0] if mark[0] in plain else mark[1], text)
    if not text:
        return text
    if plain.isupper():
        text = text.upper()
    elif not _CAPITALISED.search(plain):
        text = _CAPITALISED.sub(lambda word: word[0].lower(), text)
    word = text.split()[0]
    if plain[0].islower() and word[1:] == word[1:].lower():
        text = text[0].lower() + text[1:]
    elif plain[0].isupper():
        text = text[0].upper() + text[1:]
    if plain[-1] in _FINAL and text[-1] not in _FINAL:
        text += plain[-1]
    return source if text == plain else text


class Installed(NamedTuple):
    """Apertium on this machine.

    Attributes
    ----------
    program
        Path of the program, None where there is none.
    modes
        Directions that it translates in, each with its file.
    """

    program: str | None
    modes: Mapping[str, Path]


def installed() -> Installed:
    """Return what of Apertium this machine has; nothing is started."""
    program = shutil.which(PROGRAM)
    if program is None:
        return Installed(None, {})
    prefix = Path(program).resolve().parent.parent
    data = Path(os.environ.get("APERTIUM_DATADIR") or prefix / "share" / "apertium")
    return Installed(program, {path.stem: path for path in sorted((data / "modes").glob("*.mode"))})


def version_of(modes: Sequence[str]) -> list[str]:
    """Return Apertium's version and, for each mode, its name with a digest of its data, for cache keys.

    Raises
    ------
    ConfigurationError
        Apertium, or a mode, is not installed.
    """
    here = installed()
    missing = [mode for mode in modes if mode not in here.modes]
    if here.program is None or missing:
        raise ConfigurationError(f"Apertium is not installed here with {', '.join(modes)}")
    return [
        _program_version(here.program),
        *(f"{mode}:{_mode_digest(here.modes[mode], here.modes[mode].stat().st_mtime_ns)}" for mode in modes),
    ]


@lru_cache(maxsize=8)
def _program_version(program: str) -> str:
    said = subprocess.run([program, "-V"], capture_output=True, text=True, timeout=_SILENCE_S, check=False)
    return " ".join(said.stdout.split())


@lru_cache(maxsize=64)
def _mode_digest(mode: Path, changed_ns: int) -> str:
    """Return a digest of a mode's file and of every file that it names: rules and dictionaries."""
    del changed_ns  # of the mode's file, which every installation writes anew
    content = mode.read_bytes()
    digest = hashlib.sha256(content)
    for name in re.findall(rb"'([^']+)'", content):
        path = Path(os.fsdecode(name))
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=16)
def open_translator(mode: str) -> ApertiumTranslator:
    """Return the translator of a mode; operators of one process share it."""
    return ApertiumTranslator(mode)
