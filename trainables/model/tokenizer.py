"""Whether a tokenizer can serve an encoder, and what each entry of its vocabulary says of a text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from transformers.convert_slow_tokenizer import bytes_to_unicode

from trainables.texts.coverage import TokenKind

# What a tokenizer is read from; tokenizer_config.json alone holds none.
_FILES = ("tokenizer.json", "vocab*", "merges.txt", "*.model", "*.bpe", "*.tiktoken", "tekken.json")
_LONGEST_REASON = 200  # characters
_WORD_STARTS = ("Ġ", "▁")
_INSIDE = "##"
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")  # SentencePiece's fallback
# One letter of these is a word or a syllable, or words are not set apart.
_WHOLE_LETTERS = (
    "CJK",
    "HANGUL SYLLABLE",
    "HIRAGANA",
    "KATAKANA",
    "KHMER",
    "LAO",
    "MYANMAR",
    "THAI",
    "TIBETAN",
)


def tokenizer_faults(tokenizer: Any, source: str, n_embeddings: int | None) -> list[str]:
    """Return what keeps a tokenizer from serving an encoder, one message each.

    Parameters
    ----------
    tokenizer
        As transformers loaded it. Where the files are missing it makes one that knows special tokens alone.
    source
        Folder or name of the encoder.
    n_embeddings
        Tokens that the encoder has an embedding for; None where it does not say.
    """
    if not tokenizer.is_fast:
        return [f"encoder {source!r} has no fast tokenizer (tokenizer.json); give a model that has one"]
    vocabulary = tokenizer.get_vocab()
    if not vocabulary.keys() - {*tokenizer.all_special_tokens, *_WORD_STARTS}:
        return [_missing(source, tokenizer.vocab_files_names.values())]
    beyond = sorted(
        (token for token, index in vocabulary.items() if index >= (n_embeddings or len(vocabulary) + index)),
        key=lambda token: int(vocabulary[token]),
    )
    if not beyond:
        return []
    return [
        f"encoder {source!r} has embeddings for {n_embeddings} tokens, but its tokenizer has {len(beyond)} entries "
        f"beyond them ({', '.join(map(repr, beyond[:3]))}{', …' if len(beyond) > 3 else ''}): give the tokenizer that "
        "belongs to these weights, or call model.resize_token_embeddings(len(tokenizer)) and save both"
    ]


def unreadable_tokenizer(source: str, error: Exception) -> str:
    """Say why a tokenizer could not be loaded: its files are missing, or what they hold is none."""
    folder = Path(source)
    if folder.is_dir() and not any(path for pattern in _FILES for path in folder.glob(pattern)):
        return _missing(source)
    reason = " ".join(str(error).split()) or type(error).__name__
    return (
        f"the tokenizer of encoder {source!r} cannot be read ({_shortened(reason)}): fetch its files again "
        "(tokenizer.json; a transfer may have cut it), or save them anew with tokenizer.save_pretrained(FOLDER)"
    )


def _missing(source: str, own_files: Iterable[str] = ()) -> str:
    files = ", ".join(dict.fromkeys(("tokenizer.json", *own_files)))
    return (
        f"encoder {source!r} has no tokenizer, and without one every word is unknown. Its files ({files}) belong "
        "beside the weights: fetch them from the model's page, or write them with tokenizer.save_pretrained(FOLDER)"
    )


def _shortened(reason: str) -> str:
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]} …"


@cache
def token_kinds(tokenizer: Any) -> npt.NDArray[np.int8]:
    """Return the :class:`~trainables.texts.coverage.TokenKind` of every id of a fast tokenizer, (V,)."""
    vocabulary = tokenizer.get_vocab()
    kinds = np.full(max(vocabulary.values()) + 1, TokenKind.KNOWN, dtype=np.int8)
    written = _written(tokenizer, vocabulary)
    for token, index in vocabulary.items():
        text, inside = written(token)
        if text is None:
            kinds[index] = TokenKind.PART
        elif inside and len(text) == 1 and text.isalpha() and not _stands_alone(text):
            kinds[index] = TokenKind.LETTER
    kinds[list(tokenizer.all_special_ids)] = TokenKind.SPECIAL
    marks = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.cls_token_id, tokenizer.pad_token_id}
    # GPT-2's kind, which knows every byte, calls its end of text unknown too.
    if tokenizer.unk_token_id is not None and tokenizer.unk_token_id not in marks:
        kinds[tokenizer.unk_token_id] = TokenKind.UNKNOWN
    return kinds


def strips_accents(tokenizer: Any) -> bool:
    """Return whether letters with and without accents are one to a tokenizer."""
    plain, accented = (
        tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("resume", "résumé")
    )
    return bool(plain == accented)


def _written(tokenizer: Any, vocabulary: dict[str, int]) -> Callable[[str], tuple[str | None, bool]]:
    """Return what tells of a token its text, None for a part of a character, and whether it lies inside a word."""
    if "ByteLevel" in repr(tokenizer.backend_tokenizer.decoder):
        byte_of = {character: byte for byte, character in bytes_to_unicode().items()}

        def byte_level(token: str) -> tuple[str | None, bool]:
            if not all(character in byte_of for character in token):  # an added token, written as it is
                return token, False
            try:
                return bytes(map(byte_of.__getitem__, token)).decode(), True  # a word's start holds a space
            except UnicodeDecodeError:
                return None, True

        return byte_level
    if any(token.startswith(_INSIDE) for token in vocabulary):
        return lambda token: (token.removeprefix(_INSIDE), token.startswith(_INSIDE))
    marked = sum(token.startswith("▁") for token in vocabulary) > 1
    return lambda token: (None if _BYTE.fullmatch(token) else token, marked)


def _stands_alone(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith(_WHOLE_LETTERS)
