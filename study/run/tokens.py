"""What the encoder's tokenizer makes of a study's texts, in words: a fault where it knows too little of them."""

from __future__ import annotations

from study.config.study import StudyConfig
from study.verdict.words import counted
from trainables.model.encoder import load_tokenizer
from trainables.model.tokenizer import strips_accents
from trainables.prepared import PreparedCorpus
from trainables.settings import EncoderSettings
from trainables.texts.coverage import Coverage, accented_share, main_script

TOKENS = "tokens"  # the key of study.json under which :func:`token_facts` stand
# A multilingual encoder by name; its commit is left to the user, who alone decides which one to trust.
_MULTILINGUAL = "FacebookAI/xlm-roberta-base@REVISION"
_MANY_LETTERS = 0.3  # English has .05, Russian in an English vocabulary .8
_MANY_ACCENTS = 0.05  # French has .04, Vietnamese .25
_MANY_CUT = 0.1


def token_facts(prepared: PreparedCorpus) -> dict[str, float]:
    """Return what ``study.json`` and MLflow hold of the texts as tokens: shares of tokens, then shares of texts."""
    found = prepared.coverage
    shares = {
        "unknown_share": found.unknown_share,
        "letter_share": found.letter_share,
        "texts_unknown_share": found.unknown_text_share,
        "texts_empty_share": found.texts_empty / max(1, found.texts),
        "texts_cut_share": found.full_text_share,
        "texts_alike_share": found.texts_alike / max(1, found.texts),
    }
    return {name: round(share, 6) for name, share in shares.items()}


def token_faults(config: StudyConfig, encoder: EncoderSettings, prepared: PreparedCorpus) -> list[str]:
    """Return a fault where the encoder knows too little of the texts to learn from them."""
    found = prepared.coverage
    if max(found.unknown_share, found.unknown_text_share) <= config.max_unknown_share:
        return []
    return [
        f"encoder {encoder.name!r} does not know these texts: {_unknown_phrase(found)}. At most "
        f"{_percent(config.max_unknown_share)} was expected. {_advice(prepared)} --set max_unknown_share=1 takes this "
        "encoder all the same."
    ]


def token_remarks(encoder: EncoderSettings, prepared: PreparedCorpus) -> tuple[str, ...]:
    """Return the sentences on the texts as tokens that stand beside the result; the first one always does."""
    found = prepared.coverage
    remarks = [
        f"The encoder {encoder.name!r} reads the training and validation texts so: {_unknown_phrase(found)}."
    ]
    if found.letter_share > _MANY_LETTERS:
        remarks.append(
            f"{_percent(found.letter_share)} of the tokens are single letters inside words: the encoder's vocabulary "
            f"has few words of this language. {_advice(prepared)}"
        )
    if found.full_text_share > _MANY_CUT:
        remarks.append(
            f"{counted(found.texts_full, 'text')} ({_percent(found.full_text_share)}) fill max_length "
            f"({encoder.max_length} tokens): what lies beyond it is cut. Raise max_length as far as the encoder has "
            "positions."
        )
    if found.texts_alike:
        remarks.append(
            f"{counted(found.texts_alike, 'text')} ({_percent(found.texts_alike / found.texts)}) have the very tokens "
            "of a text of another class (cut, unknown, or different in casing or accents alone): no model can tell "
            "them apart."
        )
    accented = accented_share(prepared.train_texts)
    if accented > _MANY_ACCENTS and strips_accents(load_tokenizer(encoder)):
        remarks.append(
            f"The tokenizer strips accents and vowel signs, which {_percent(accented)} of the letters carry: words "
            "that differ in them alone become one. A cased or multilingual encoder keeps them."
        )
    return tuple(remarks)


def _unknown_phrase(found: Coverage) -> str:
    parts = f", {_percent(found.parts / max(1, found.tokens))} as parts of characters" if found.parts else ""
    text = f"{_percent(found.unknown_share)} of {counted(found.tokens, 'token')} are unknown{parts}"
    text += (
        f", and {found.texts_unknown:,} of {counted(found.texts, 'text')} "
        f"({_percent(found.texts_unknown / max(1, found.texts))}) hold none that is known"
    )
    if found.texts_empty:
        text += f"; {found.texts_empty:,} ({_percent(found.texts_empty / found.texts)}) come out empty"
    return text


def _percent(share: float) -> str:
    """Write a share such that some is never shown as none, nor nearly all as all."""
    if 0 < share < 0.0005:
        return "under 0.1 %"
    return f"{100 * (share if share == 1 else min(share, 0.999)):.1f}".removesuffix(".0") + " %"


def _advice(prepared: PreparedCorpus) -> str:
    script = main_script(prepared.train_texts)
    if script is None:
        return "They hold no letters: look at the text column, or give an encoder made for such signs."
    if script == "Latin":
        return (
            "They are written in Latin letters, so the tokenizer's files may be another model's, or keep capitals that "
            "its vocabulary lacks (do_lower_case); in another language than the encoder's, give a multilingual one, "
            f"e.g. --encoder {_MULTILINGUAL}."
        )
    return (
        f"They are mostly in {script} script: give an encoder of that language, or a multilingual one, e.g. --encoder "
        f"{_MULTILINGUAL} (REVISION: its commit, from the model's page on the Hub)."
    )
