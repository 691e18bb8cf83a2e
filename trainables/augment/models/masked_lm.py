"""Any masked language model of transformers as a source of words: many masked positions in one forward pass.

Two savings make it fast. The encoder runs on batches of windows of similar length, and the head, which costs as much
as several encoder layers, runs on the masked positions alone and computes the logits of the words that may be
written alone.

A batch has a shape that depends on the length of its windows alone: the last one of a length is filled up. Matrix
products then add up the numbers of a window in the same order whatever stands beside it, and the result of a window
is the same bit for bit in any company; with free shapes, bfloat16 on a CPU moves logits by some hundredths.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoTokenizer

from trainables.augment.models.encoder_and_head import EncoderAndHead
from trainables.augment.models.model_source import ModelSource
from trainables.augment.models.vocabulary import whole_words
from trainables.errors import ConfigurationError
from trainables.model.masked_lm import load_pretrained_masked_lm, loading

_LENGTHS = (16, 32, 48, 64, 96, 128, 192, 256)  # of windows, special tokens included
_TOKENS_PER_BATCH = {"cpu": 512, "cuda": 16_384}
_POSITIONS_PER_BATCH = {"cpu": 64, "cuda": 1024}  # of the head
_SURROGATE = re.compile("[\ud800-\udfff]")


class EncodedText(NamedTuple):
    """Tokens of a text without special ones, and the characters that each covers."""

    ids: list[int]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


class Window(NamedTuple):
    """A stretch of at most ``window_size`` tokens, some of them masked.

    Attributes
    ----------
    ids
        Tokens without special ones; ``mask_id`` where masked.
    masked
        Positions in ``ids`` whose words are asked for.
    """

    ids: list[int]
    masked: list[int]


@dataclass(frozen=True)
class Proposals:
    """The likeliest words of m masked positions.

    Attributes
    ----------
    words
        (m, k) int64, positions in :attr:`MaskedLanguageModel.words`.
    logits
        (m, k) float32.
    """

    words: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]


class MaskedLanguageModel:
    """A masked language model that proposes whole content words.

    Parameters
    ----------
    model
        A ``…ForMaskedLM`` of transformers whose head works on each position by itself.
    tokenizer
        Its fast tokenizer: WordPiece, byte-level BPE or SentencePiece.
    device, precision
        Where, and in which data type, it computes.

    Attributes
    ----------
    words
        C lower-case words that may be written, see :func:`trainables.augment.models.vocabulary.whole_words`.
    token_ids
        (C,) int64, their entries in the vocabulary.
    window_size
        Most tokens of a window, special tokens left out.

    Raises
    ------
    ConfigurationError
        The tokenizer is not fast or has no mask token, the vocabulary holds no word, or the head does not work on
        positions one by one.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        device: torch.device | None = None,
        precision: torch.dtype = torch.float32,
    ) -> None:
        name = f"masked language model {getattr(model, 'name_or_path', '') or type(model).__name__!r}"
        if not tokenizer.is_fast or tokenizer.mask_token_id is None:
            raise ConfigurationError(
                f"{name} has no fast tokenizer with a mask token: give one of BERT's kind"
            )
        entries = whole_words(tokenizer.get_vocab(), tokenizer.all_special_tokens)
        if not entries:
            raise ConfigurationError(f"{name} has no English word in its vocabulary: give another model")
        self.words = list(entries)
        self.token_ids = np.array(list(entries.values()), dtype=np.int64)
        self.mask_id: int = tokenizer.mask_token_id
        self._known = frozenset(entries)
        self._tokenizer = tokenizer
        self._device = device or torch.device("cpu")
        # The tokenizer's own special tokens: "[CLS] text [SEP]", "<s> text </s>".
        probe = tokenizer("a", return_special_tokens_mask=True)
        special = probe["special_tokens_mask"]
        n_before = special.index(0)
        n_after = special[::-1].index(0)
        self._before = probe["input_ids"][:n_before]
        self._after = probe["input_ids"][len(special) - n_after :]
        self._pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        longest = _longest_input(model.config, tokenizer)
        self._lengths = [length for length in _LENGTHS if length < longest] + [min(longest, _LENGTHS[-1])]
        self.window_size = self._lengths[-1] - n_before - n_after
        probe = [*self._before, *self.token_ids[:2].tolist(), self.mask_id, *self._after]
        self._model = EncoderAndHead(model, self.token_ids, probe)
        self._model.to(self._device, precision)

    def __contains__(self, word: str) -> bool:
        """Return whether a lower-case word is one of :attr:`words`."""
        return word in self._known

    def encode(self, texts: Sequence[str]) -> list[EncodedText]:
        """Tokenise texts."""
        if not texts:
            return []
        # A lone surrogate is no character to the tokenizer; its replacement is as long.
        whole = [_SURROGATE.sub("\ufffd", text) for text in texts]
        encoded = self._tokenizer(
            whole,
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            verbose=False,
        )
        found = []
        for ids, offsets in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
            spans = np.array(offsets, dtype=np.int64).reshape(-1, 2)
            found.append(EncodedText(ids, spans[:, 0], spans[:, 1]))
        return found

    @torch.inference_mode()
    def propose(self, windows: Sequence[Window], top_k: int) -> Proposals:
        """Return the ``top_k`` likeliest words of every masked position, window after window.

        What comes back for a window depends on that window alone.
        """
        k = min(top_k, len(self.words))
        first = np.cumsum([0, *(len(window.masked) for window in windows)])
        words = np.empty((first[-1], k), dtype=np.int64)
        logits = np.empty((first[-1], k), dtype=np.float32)
        waiting: list[tuple[npt.NDArray[np.int64], torch.Tensor]] = []
        n_waiting = 0
        for members, hidden in self._encoded(windows):
            waiting.append((np.concatenate([np.arange(first[i], first[i + 1]) for i in members]), hidden))
            n_waiting += len(hidden)
            if n_waiting >= self._positions_per_batch:
                self._score(waiting, words, logits)
                waiting, n_waiting = [], 0
        if waiting:
            self._score(waiting, words, logits)
        return Proposals(words, logits)

    def _encoded(self, windows: Sequence[Window]) -> Iterator[tuple[list[int], torch.Tensor]]:
        """Yield window numbers of a batch and the hidden states (n, d) of their masked positions."""
        n_special = len(self._before) + len(self._after)
        by_length: dict[int, list[int]] = {}
        for i, window in enumerate(windows):
            length = next(length for length in self._lengths if length >= len(window.ids) + n_special)
            by_length.setdefault(length, []).append(i)
        for length, rows in sorted(by_length.items()):
            size = max(1, _TOKENS_PER_BATCH[self._device.type] // length)
            for start in range(0, len(rows), size):
                members = rows[start : start + size]
                ids = np.full((size, length), self._pad_id, dtype=np.int64)
                attended = np.zeros((size, length), dtype=np.int64)
                attended[:, 0] = 1  # rows that only fill up: softmax over nothing is NaN
                places = []
                for row, i in enumerate(members):
                    whole = self._before + windows[i].ids + self._after
                    ids[row, : len(whole)] = whole
                    attended[row, : len(whole)] = 1
                    places += [row * length + len(self._before) + at for at in windows[i].masked]
                hidden = self._model.encode(
                    input_ids=torch.from_numpy(ids).to(self._device),
                    attention_mask=torch.from_numpy(attended).to(self._device),
                )
                yield members, hidden.flatten(0, 1)[torch.tensor(places, device=self._device)]

    def _score(
        self,
        waiting: Sequence[tuple[npt.NDArray[np.int64], torch.Tensor]],
        words: npt.NDArray[np.int64],  # (m, k)
        logits: npt.NDArray[np.float32],  # (m, k)
    ) -> None:
        positions = np.concatenate([numbers for numbers, _ in waiting])
        hidden = torch.cat([states for _, states in waiting])
        size = self._positions_per_batch
        for start in range(0, len(hidden), size):
            part = hidden[start : start + size]
            n = len(part)
            filled = torch.cat([part, part.new_zeros(size - n, part.shape[1])])
            best, which = self._model.decode(filled)[:n].topk(words.shape[1])
            words[positions[start : start + n]] = which.cpu().numpy()
            logits[positions[start : start + n]] = best.float().cpu().numpy()

    @property
    def _positions_per_batch(self) -> int:
        return _POSITIONS_PER_BATCH[self._device.type]


def _longest_input(config: Any, tokenizer: Any) -> int:
    """Return the most tokens of an input, special ones included."""
    positions = getattr(config, "max_position_embeddings", None) or _LENGTHS[-1] + 2
    # RoBERTa's kind counts positions from its padding token on: 514 of them hold 512 tokens.
    reserved = (getattr(config, "pad_token_id", None) or 0) + 1
    return int(min(positions - reserved, tokenizer.model_max_length))


@lru_cache(maxsize=2)
def load_masked_lm(source: ModelSource, device: torch.device, precision: torch.dtype) -> MaskedLanguageModel:
    """Load a masked language model; operators of one process share it.

    Raises
    ------
    ConfigurationError
        It cannot be loaded, or its checkpoint holds no masked-language-model head.
    """
    with loading(source.name):
        tokenizer = AutoTokenizer.from_pretrained(source.name, revision=source.revision)
    model = load_pretrained_masked_lm(source.name, source.revision)
    return MaskedLanguageModel(model, tokenizer, device, precision)
