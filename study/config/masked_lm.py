"""Arms that go on with the encoder's own masked-language training, in a study whose encoder may have no head for it."""

from __future__ import annotations

from dataclasses import replace

from study.config.arms import ALL_CONTROLS
from study.config.encoders import encoder_settings
from study.config.presets import BERT
from study.config.study import StudyConfig
from trainables.method.arms import MASKED_LM_ARMS

_EXAMPLE = f"{BERT['encoder']}@{BERT['encoder_revision']}"


def chosen_masked_lm_arms(config: StudyConfig) -> tuple[str, ...]:
    """Return the chosen arms that need the head."""
    return tuple(arm for arm in config.arms if arm in MASKED_LM_ARMS)


def headless_faults(config: StudyConfig) -> list[str]:
    """Return the faults of a study whose encoder has no masked-language head.

    There is none where every control is asked for: then :func:`without_masked_lm_arms` leaves out what cannot run.
    """
    return [] if _every_control(config) else [_reason(config, arm) for arm in chosen_masked_lm_arms(config)]


def without_masked_lm_arms(config: StudyConfig) -> tuple[StudyConfig, tuple[str, ...]]:
    """Leave the arms that need the head out of a study that asks for every control, where its encoder has none.

    Returns
    -------
    StudyConfig
        The study, as it is where the encoder has the head, or arms are asked for by name.
    tuple of str
        A remark on each arm that is left out.
    """
    left_out = chosen_masked_lm_arms(config)
    if not left_out or not _every_control(config):
        return config, ()
    from trainables.model.encoder import has_masked_lm_head  # loads torch

    if has_masked_lm_head(encoder_settings(config)):
        return config, ()
    kept = tuple(arm for arm in config.arms if arm not in left_out)
    return replace(config, arms=kept), tuple(
        f"Of all controls {arm} is left out: encoder {config.encoder!r} has no masked-language head, which it trains."
        for arm in left_out
    )


def _every_control(config: StudyConfig) -> bool:
    return set(ALL_CONTROLS) <= set(config.arms)


def _reason(config: StudyConfig, arm: str) -> str:
    return (
        f"encoder {config.encoder!r} has no masked-language head, which {arm} trains: choose an encoder that has one "
        f"(--encoder {_EXAMPLE}), or leave {arm} out of --arms"
    )
