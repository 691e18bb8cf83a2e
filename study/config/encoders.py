"""The encoder of a study, in the form that loading it takes."""

from __future__ import annotations

from dataclasses import replace

from study.config.study import StudyConfig
from trainables.settings import EncoderSettings


def encoder_settings(config: StudyConfig) -> EncoderSettings:
    """Return the encoder of a study."""
    return EncoderSettings(
        name=config.encoder,
        revision=config.encoder_revision,
        layers=config.encoder_layers,
        max_length=config.max_length,
    )


def trial_encoder(config: StudyConfig) -> EncoderSettings:
    """Return the encoder as a study's trials compute with it: only on a GPU that Ray has given them.

    Ray does not hide the machine's GPUs from trials that asked for none, so ``auto`` would take one.
    """
    encoder = encoder_settings(config)
    return replace(encoder, device="cpu") if config.gpus_per_trial == 0 else encoder


def gpu_encoder(config: StudyConfig) -> EncoderSettings:
    """Return the encoder as trials on a GPU compute with it, on a machine that may have none."""
    return replace(encoder_settings(config), device="cuda")
