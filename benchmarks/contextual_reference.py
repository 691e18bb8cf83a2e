"""nlpaug's contextual augmenter, re-implemented: ``ContextualWordEmbsAug`` 1.1.11 does not run on transformers 5.

It follows ``substitute``, ``insert`` and ``Bert.predict`` with their defaults. The text is cut into word pieces, and
places are drawn among the pieces that start a word and are not punctuation. Then for each place, from the last to the
first:

- the piece is replaced by the mask (its continuations are dropped), or the mask is inserted;
- the pieces are decoded to a string, and the string is encoded again;
- the model runs on that one sequence, without gradients and in float32, with the logits of all positions and of the
  whole vocabulary;
- of the masked position's logits the ``top_k`` (100) are kept, and up to 100 of them drawn without replacement;
- the first ten of these that are whole words, not punctuation and not the word itself are candidates, of which one is
  taken at random.

At the end the pieces are decoded. Two things differ from nlpaug: it keeps no change log, and the number of places is
that of our operators (a share of the words, not of the pieces), which saves it some passes.
"""

from __future__ import annotations

import random
import string
from typing import Any

import torch

from trainables.augment.english.protect import find_open_words

_DRAWS = 100
_CANDIDATES = 10


class OneAtATime:
    """nlpaug's algorithm on a BERT with its tokenizer.

    Parameters
    ----------
    model
        A ``BertForMaskedLM`` in float32.
    tokenizer
        Its tokenizer.
    strength
        Share of a text's words to change.
    inserts
        Whether words are inserted instead of substituted.
    top_k
        Number of most likely pieces to draw from.
    """

    def __init__(
        self, model: Any, tokenizer: Any, strength: float, *, inserts: bool = False, top_k: int = 100
    ) -> None:
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._strength = strength
        self._inserts = inserts
        self._top_k = top_k
        self._longest = model.config.max_position_embeddings - 2 * 5

    def augment(self, text: str) -> str:
        """Return an augmentation of one text."""
        pieces = self._tokenizer.tokenize(text)
        pieces, rest = pieces[: self._longest], pieces[self._longest :]
        open_places = [
            i for i, piece in enumerate(pieces) if piece not in string.punctuation and piece[:2] != "##"
        ]
        n = max(1, int(self._strength * find_open_words(text).n_words + 0.5))
        for i in sorted(random.sample(open_places, min(n, len(open_places))), reverse=True):
            original = None
            end = i
            if not self._inserts:
                original = pieces[i]
                end = i + 1
                while end < len(pieces) and pieces[end].startswith("##"):
                    end += 1
            masked = [*pieces[:i], self._tokenizer.mask_token, *pieces[end:]]
            ids = self._tokenizer.convert_tokens_to_ids(masked)
            candidates = self._predict(self._tokenizer.decode(ids).strip(), original)
            if candidates:
                pieces = [*pieces[:i], random.sample(candidates, 1)[0], *pieces[end:]]
        ids = self._tokenizer.convert_tokens_to_ids([*pieces, *rest])
        return str(self._tokenizer.decode(ids))

    def _predict(self, text: str, original: str | None) -> list[str]:
        ids = self._tokenizer.encode(text)
        position = ids.index(self._tokenizer.mask_token_id)
        tokens = torch.tensor([ids])
        with torch.no_grad():
            output = self._model(input_ids=tokens, attention_mask=torch.ones_like(tokens))[0][0]
        best, which = torch.topk(output[position], self._top_k)
        drawn = torch.multinomial(torch.softmax(best, dim=-1), min(_DRAWS, len(best))).tolist()
        candidates: list[str] = []
        for i in drawn:
            piece = self._tokenizer.convert_ids_to_tokens(int(which[i]))
            if piece in ("", self._tokenizer.unk_token, "##") or "unused" in piece or piece[:2] == "##":
                continue
            if piece in string.punctuation or (original is not None and piece.lower() == original.lower()):
                continue
            candidates.append(piece)
            if len(candidates) == _CANDIDATES:
                break
        return candidates
