"""Translation by any sequence-to-sequence model of transformers (FSMT, Marian): batched, each sentence by its own seed.

Decoding is a beam search with the settings of the checkpoint, or sampling. For the latter ``generate`` decodes
greedily over logits to which Gumbel noise was added, which is sampling (Gumbel-max); the noise is a hash of a
sentence's key, the step and the token. Together with batches of fixed shapes this makes a translation depend on its
sentence and key alone, which ``do_sample`` with torch's one generator cannot.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, LogitsProcessor, LogitsProcessorList

from trainables.augment.models.gumbel import gumbel, hashes
from trainables.augment.models.model_source import ModelSource
from trainables.errors import ConfigurationError
from trainables.model.pretrained import quiet_loading

_LENGTHS = (16, 32, 64, 128, 256, 512)  # of sources in tokens
BEAMS = 5  # of a checkpoint that names no number; the published FSMT checkpoints name this one
_SENTENCES = {"cpu": 16, "cuda": 64}  # of a batch


class Sampling(NamedTuple):
    """How tokens are drawn.

    Attributes
    ----------
    temperature
        Of the probabilities.
    top_k
        Likeliest tokens that are drawn from at each step.
    """

    temperature: float = 0.8
    top_k: int = 50


class Translator:
    """A model that translates in one direction.

    Parameters
    ----------
    model
        A sequence-to-sequence model of transformers.
    tokenizer
        Its tokenizer.
    device, precision
        Where, and in which data type, it computes.
    sampling
        How tokens are drawn; None for the checkpoint's own beam search (of :data:`BEAMS` beams where it names no
        number), which nlpaug's back-translation uses and which gives a sentence one translation, whatever its key.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        device: torch.device | None = None,
        precision: torch.dtype = torch.float32,
        sampling: Sampling | None = Sampling(),  # noqa: B008  (it cannot change)
    ) -> None:
        self._device = device or torch.device("cpu")
        self._model = model.eval().to(self._device, precision)
        self._tokenizer = tokenizer
        self._sampling = sampling
        self._config = copy.deepcopy(model.generation_config)
        self._config.update(do_sample=False, temperature=None, top_k=None, top_p=None, max_length=None)
        if sampling is not None:  # a checkpoint brings a beam search of its own
            self._config.update(num_beams=1, early_stopping=False, length_penalty=1.0, min_length=0)
        elif (self._config.num_beams or 1) == 1:
            self._config.update(num_beams=BEAMS)
        model.generation_config = self._config  # generate takes from here what it misses elsewhere
        self._inputs = set(inspect.signature(model.forward).parameters)
        config = model.config
        positions = [
            getattr(config, name, None)
            for name in ("max_position_embeddings", "max_source_positions", "n_positions")
        ]
        limits = [limit for limit in (*positions, tokenizer.model_max_length) if limit]
        self._longest = int(min([*limits, _LENGTHS[-1]]))
        self._lengths = [length for length in _LENGTHS if length < self._longest] + [self._longest]

    def translate(self, sentences: Sequence[str], keys: Sequence[int]) -> list[str | None]:
        """Return a translation of each sentence, None where source or translation is longer than the model can.

        Element i depends on ``sentences[i]`` and ``keys[i]`` alone.
        """
        encoded = [self._tokenizer(sentence)["input_ids"] for sentence in sentences]
        by_length: dict[int, list[int]] = {}
        for i, ids in enumerate(encoded):
            if len(ids) <= self._longest:
                length = next(length for length in self._lengths if length >= len(ids))
                by_length.setdefault(length, []).append(i)
        made: list[str | None] = [None] * len(sentences)
        size = _SENTENCES[self._device.type]
        for length, rows in sorted(by_length.items()):
            for start in range(0, len(rows), size):
                members = rows[start : start + size]
                filled = (members * size)[:size]  # always one shape: see the module
                produced = self._generate([encoded[i] for i in filled], [keys[i] for i in filled], length)
                for i, ids in zip(members, produced, strict=False):
                    made[i] = ids
        return made

    @torch.inference_mode()
    def _generate(self, sources: list[list[int]], keys: list[int], length: int) -> list[str | None]:
        pad = self._tokenizer.pad_token_id
        ids = torch.full((len(sources), length), pad)
        attended = torch.zeros_like(ids)
        for row, source in enumerate(sources):
            ids[row, : len(source)] = torch.tensor(source)
            attended[row, : len(source)] = 1
        noise = [GumbelNoise(keys, *self._sampling)] if self._sampling is not None else []
        n_new = min(2 * length, self._longest - 1)
        inputs = {"input_ids": ids.to(self._device), "attention_mask": attended.to(self._device)}
        self._config.max_new_tokens = n_new
        produced = self._model.generate(
            **{name: value for name, value in inputs.items() if name in self._inputs},
            generation_config=self._config,
            logits_processor=LogitsProcessorList(noise),
        )
        ends = self._config.eos_token_id
        end_ids = torch.tensor(ends if isinstance(ends, list) else [ends], device=self._device)
        ended = torch.isin(produced[:, 1:], end_ids).any(dim=1).tolist()
        texts = self._tokenizer.batch_decode(produced, skip_special_tokens=True)
        return [text.strip() if whole else None for text, whole in zip(texts, ended, strict=True)]


class GumbelNoise(LogitsProcessor):  # type: ignore[misc]
    """Adds each row's own noise to its ``top_k`` likeliest tokens and rules out the others."""

    def __init__(self, keys: Sequence[int], temperature: float, top_k: int) -> None:
        self._keys = np.array(keys, dtype=np.uint64)
        self._temperature = temperature
        self._top_k = top_k

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores (B, V) that greedy decoding takes the best of."""
        best, which = scores.float().topk(min(self._top_k, scores.shape[1]))
        step: npt.NDArray[np.uint64] = hashes(self._keys, np.uint64(input_ids.shape[1]))
        noise = gumbel(step[:, None], which.cpu().numpy().astype(np.uint64))
        drawn = best / self._temperature + torch.from_numpy(noise).to(best)
        return torch.full_like(scores, -torch.inf, dtype=torch.float32).scatter(1, which, drawn)


@lru_cache(maxsize=8)
def load_translator(
    source: ModelSource, device: torch.device, precision: torch.dtype, sampling: Sampling | None
) -> Translator:
    """Load a translator; operators of one process share it.

    Raises
    ------
    ConfigurationError
        It cannot be loaded, or its checkpoint lacks weights.
    """
    try:
        with quiet_loading():
            model, info = AutoModelForSeq2SeqLM.from_pretrained(
                source.name, revision=source.revision, dtype=torch.float32, output_loading_info=True
            )
            tokenizer = AutoTokenizer.from_pretrained(source.name, revision=source.revision)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigurationError(
            f"translation model {source.name!r} cannot be loaded ({reason}): check name, revision and network, or give "
            "a folder with config.json, model.safetensors and the tokenizer's files; FSMT's tokenizer needs the "
            "package sacremoses, Marian's sentencepiece"
        ) from error
    if info["missing_keys"]:
        raise ConfigurationError(
            f"translation model {source.name!r} lacks weights: {', '.join(sorted(info['missing_keys'])[:3])}"
        )
    return Translator(model, tokenizer, device, precision, sampling)
