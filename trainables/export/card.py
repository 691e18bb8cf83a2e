"""The page that goes with a model: what it was made for, what the study showed, and what it must not be used for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainables.corpora.wording import shown
from trainables.export.calibration import Calibration
from trainables.method.arms import ARM_TABLE


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What only the study can say of a model.

    Attributes
    ----------
    study
        Name of the study.
    verdict
        The verdict in a sentence.
    interval
        The gain with its interval, in words; empty where there is none.
    corpus
        What the texts are and where they come from.
    notice
        What has to be known of the labels (silver labels, a generated sample); empty where there is nothing.
    command
        The command that reproduces the study, and the model with it.
    """

    study: str
    verdict: str
    interval: str = ""
    corpus: str = ""
    notice: str = ""
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """What a model was made from.

    Attributes
    ----------
    classes
        C class names in the order of the logits.
    counts
        Rows of each class that it was trained on.
    settings
        The recipe, as :meth:`trainables.settings.TrialSettings.to_config` gives it.
    encoder
        Name of the pretrained encoder.
    max_length
        Longest text in tokens.
    calibration
        What was folded into its last layer.
    """

    classes: tuple[str, ...]
    counts: tuple[int, ...]
    settings: Mapping[str, Any]
    encoder: str
    max_length: int
    calibration: Calibration


def card_text(card: ModelCard, model: TrainedModel) -> str:
    """Return a model's card, Markdown with the front matter that the Hugging Face Hub reads."""
    arm = ARM_TABLE[model.settings["arm"]]
    calibration = model.calibration
    rows = "\n".join(
        f"| {_cell(name)} | {count:,} | {share:.1%} |"
        for name, count, share in zip(model.classes, model.counts, calibration.prior, strict=True)
    )
    settings = "\n".join(f"| {name} | {_cell(str(value))} |" for name, value in model.settings.items())
    stated = [f"**{card.verdict}**", card.interval, card.notice]
    verdict = "\n\n".join(each for each in stated if each)
    reproduce = f"\n## Reproduce it\n\n```sh\n{card.command}\n```\n" if card.command else ""
    return f"""---
library_name: transformers
pipeline_tag: text-classification
---

# {card.study}: {arm.title}

{verdict}

## Use

For texts of the kind that it was trained on{f" ({card.corpus})" if card.corpus else ""}, each of which belongs to one
of {len(model.classes)} classes. It gives the probability of every class, calibrated, without code of the study:

```python
from transformers import pipeline

classify = pipeline("text-classification", FOLDER, top_k=None, truncation=True)
classify("a text")
```

`truncation=True` cuts texts after {model.max_length} tokens, as in training; transformers does not keep that setting in
a folder. `model.onnx` gives the same: its inputs are made by the tokenizer of this folder, its outputs are `logits` and
`probabilities`.

## Probabilities

They hold for texts with these class shares (the deployment prior):

| class | training rows | deployment prior |
|---|---|---|
{rows}

Where the shares differ, multiply each probability by new share / deployment prior, and divide by the sum of these.
Temperature {calibration.temperature:.3g} and class offsets were fitted on {calibration.rows:,} scores of validation
rows by models that had not seen them (negative log-likelihood {calibration.loss_before:.3f} before,
{calibration.loss_after:.3f} after), and are folded into the last linear layer. This model was then trained on training
and validation rows together, so no row is left on which its own calibration could be measured but those of the test
part.

## Limits

- It knows no class but these, and gives every text probabilities that sum to 1, also a text of another kind.
- Only the first {model.max_length} tokens of a text are read.
- The verdict is about the recipe, in the mean over replicates; this is one model of that recipe.
- No decision about a person should rest on it alone.

## How it was made

Pretrained encoder `{model.encoder}`; {arm.meaning}.

| setting | value |
|---|---|
{settings}
{reproduce}"""


def _cell(text: str) -> str:
    return shown(text).replace("|", "\\|").replace("`", "\\`")
