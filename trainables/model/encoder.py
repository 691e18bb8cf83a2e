"""The pretrained encoder: where it is, what it runs on, and a classifier with a fresh head on top of it."""

from __future__ import annotations

import copy
import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from trainables.cpu.kernels import TORCH_KERNELS, compiled_kernels
from trainables.errors import ConfigurationError, collect
from trainables.model.pretrained import load_checkpoint, read_config
from trainables.model.source import source_faults
from trainables.model.tokenizer import tokenizer_faults, unreadable_tokenizer
from trainables.model.weight_files import holds_masked_lm_head, names_masked_lm_head
from trainables.settings import PRECISIONS, EncoderSettings


def resolve_device(settings: EncoderSettings) -> torch.device:
    """Return the device to compute on."""
    if settings.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(settings.device)


def gpu_name(settings: EncoderSettings) -> str:
    """Return what the driver calls the GPU on which this process trains the encoder; empty where that is none."""
    device = resolve_device(settings)
    return str(torch.cuda.get_device_name(device)) if device.type == "cuda" else ""


def resolve_precision(settings: EncoderSettings) -> torch.dtype:
    """Return the data type of weights and activations in training and prediction."""
    if settings.precision != "auto":
        return torch.bfloat16 if settings.precision == "bfloat16" else torch.float32
    if resolve_device(settings).type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    capabilities = torch.cpu.get_capabilities()
    fast = capabilities.get("amx_bf16", False) or capabilities.get("avx512_bf16", False)
    return torch.bfloat16 if fast else torch.float32


def uses_compiled_kernels(settings: EncoderSettings) -> bool:
    """Return whether our own forward pass on CPUs computes with the compiled kernels."""
    return settings.kernels != TORCH_KERNELS and compiled_kernels() is not None


@functools.lru_cache(maxsize=8)
def encoder_digest(settings: EncoderSettings) -> str:
    """Return a digest of a local encoder's files, which can change under one path; for a Hub name, name@revision."""
    folder = Path(settings.source)
    if not folder.is_dir():
        return f"{settings.source}@{settings.revision}"
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        whole.update(path.name.encode())
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:16]


def encoder_faults(settings: EncoderSettings) -> list[str]:
    """Return everything that keeps this encoder from being used, one message each; empty if nothing does."""
    faults = []
    if settings.precision not in PRECISIONS:
        faults.append(f"encoder precision is {settings.precision!r}; expected one of {', '.join(PRECISIONS)}")
    if settings.max_length < 3:
        faults.append(f"encoder max_length is {settings.max_length}; expected 3 or more tokens")
    try:
        device = resolve_device(settings)
        if device.type == "cuda" and not torch.cuda.is_available():
            faults.append(
                f"encoder device is {settings.device!r}, but torch sees no CUDA device; use 'auto' or 'cpu'"
            )
    except RuntimeError as error:
        faults.append(f"encoder device is {settings.device!r}; expected auto, cpu, cuda or cuda:N ({error})")
    wrong = source_faults(settings)
    return faults + (wrong or _loading_faults(settings))


def _loading_faults(settings: EncoderSettings) -> list[str]:
    source = settings.source
    faults: list[str] = []
    config = collect(faults, lambda: read_config(settings))
    if config is None and settings.layers is not None:  # that may be the only thing wrong with it
        config = collect([], lambda: read_config(replace(settings, layers=None)))
    try:
        tokenizer = load_tokenizer(settings)
    except (
        Exception
    ) as error:  # the tokenizers library raises no narrower class for a file that it cannot read
        return faults or [unreadable_tokenizer(source, error)]
    faults += tokenizer_faults(tokenizer, source, getattr(config, "vocab_size", None))
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and 0 < positions < settings.max_length:
        faults.append(
            f"encoder max_length is {settings.max_length}, but {source!r} has {positions} positions"
        )
    return faults


def has_masked_lm_head(settings: EncoderSettings) -> bool:
    """Return whether the encoder's checkpoint says that it holds a masked-language head; no weights are read."""
    folder = Path(settings.source)
    if folder.is_dir():
        return holds_masked_lm_head(folder)
    try:
        config = read_config(settings)
    except ConfigurationError:  # what is wrong with it is told as the encoder's own fault
        return False
    return names_masked_lm_head(getattr(config, "architectures", None) or ())


def load_tokenizer(settings: EncoderSettings) -> Any:
    """Return the encoder's fast tokenizer, loaded once per process, however the encoder computes."""
    return _load_tokenizer(settings.source, settings.revision)


@functools.cache
def _load_tokenizer(source: str, revision: str | None) -> Any:
    # Left open, transformers would ask on the terminal whether to run a tokenizer's own code.
    return AutoTokenizer.from_pretrained(source, revision=revision, trust_remote_code=False)


def build_classifier(settings: EncoderSettings, n_classes: int, seed: int) -> Any:
    """Return a sequence classifier: pretrained encoder, fresh head drawn from ``seed``.

    The weights are read once per process and copied for each model, so that a warm process starts a trial at
    once.

    Parameters
    ----------
    settings
        The encoder.
    n_classes
        Classes C of the head.
    seed
        Seed of the head, and of any layer that the checkpoint lacks (a pooler, say).

    Returns
    -------
    A transformers ``…ForSequenceClassification`` in float32 on the settings' device, in evaluation mode.
    """
    checkpoint = load_checkpoint(settings, n_classes)
    model = copy.deepcopy(checkpoint.model)
    fresh = {name.rpartition(".")[0] for name in checkpoint.missing}
    fresh |= {name for name, module in head_modules(model) if module is not model}
    _draw(model, [model.get_submodule(name) for name in sorted(fresh)], seed)
    place(model, settings)
    return model


def place(model: Any, settings: EncoderSettings) -> None:
    """Bring a model of transformers to the settings' device, and make it ready to train there."""
    device = resolve_device(settings)
    # Measured on CPUs: plain attention trains faster than the fused one, whose dropout takes the slow path.
    model.set_attn_implementation("eager" if device.type == "cpu" else "sdpa")
    model.to(device)
    model.kernels = settings.kernels
    if settings.compile:
        # Layer by layer: they share one graph, and the embeddings stay as they are.
        for layer in encoder_layers(model):
            layer.compile()


def reinitialise_head(model: Any, seed: int) -> None:
    """Draw the classification head anew, in place; the encoder stays as it is."""
    device = next(model.parameters()).device
    model.cpu()
    _draw(model, [module for _, module in head_modules(model)], seed)
    model.to(device)


def head_modules(model: Any) -> Iterator[tuple[str, torch.nn.Module]]:
    """Yield name and module of each part of a classifier that is not its encoder and has weights."""
    for name, module in model.named_children():
        if name != model.base_model_prefix and any(True for _ in module.parameters()):
            yield name, module


def encoder_layers(model: Any) -> list[torch.nn.Module]:
    """Return the encoder's layers from the lowest to the highest: the members of its longest list of modules.

    Raises
    ------
    ValueError
        The encoder has no list of modules.
    """
    return list(_stack(model))


def _stack(model: Any) -> torch.nn.ModuleList:
    stacks = [m for m in model.base_model.modules() if isinstance(m, torch.nn.ModuleList) and len(m)]
    if not stacks:
        raise ValueError(f"{type(model).__name__} has no list of layers in which to find its blocks")
    return max(stacks, key=len)


def modules_above_layers(model: Any) -> list[torch.nn.Module]:
    """Return the modules that compute on the last layer's output: pooler, a last normalisation, and the head.

    Within the encoder, these are its pooler, wherever it is registered (NomicBERT: before the layers), and what each
    module around the list of layers registers after it. Where that includes an embedding or another list, nothing that
    this module registers there counts: it is what all layers read (relative positions in MPNet and DeBERTa), parts of
    the layers (XLM), or the decoder.
    """
    stack = _stack(model)
    above: list[torch.nn.Module] = []
    holder: torch.nn.Module = model.base_model
    while holder is not stack:
        children = list(holder.children())
        place = next(i for i, child in enumerate(children) if any(m is stack for m in child.modules()))
        behind = children[place + 1 :]
        parts = [m for child in behind for m in child.modules()]
        if not any(isinstance(m, torch.nn.Embedding | torch.nn.ModuleList) for m in parts):
            above += behind
        holder = children[place]
    pooler = getattr(model.base_model, "pooler", None)
    if pooler is not None and pooler not in above:
        above.append(pooler)
    return above + [module for _, module in head_modules(model)]


def layer_rate_factors(model: Any, decay: float) -> dict[torch.nn.Parameter, float]:
    """Return each parameter's factor on the learning rate under layer-wise decay.

    decay^k for the k-th layer from the top (0, 1, …, L - 1), decay^L for the embeddings and whatever else lies below
    the layers, 1 for what lies above them.

    References
    ----------
    Sun et al., How to Fine-Tune BERT for Text Classification?, CCL 2019, section 4.3.
    """
    layers = encoder_layers(model)
    factors = dict.fromkeys(model.parameters(), decay ** len(layers))
    for depth, layer in enumerate(reversed(layers)):
        factors.update(dict.fromkeys(layer.parameters(), decay**depth))
    for module in modules_above_layers(model):
        factors.update(dict.fromkeys(module.parameters(), 1.0))
    return factors


def _draw(model: Any, roots: Sequence[torch.nn.Module], seed: int) -> None:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for root in roots:
            for module in root.modules():
                for parameter in module.parameters(recurse=False):
                    # transformers leaves alone what is marked as loaded from a checkpoint
                    parameter._is_hf_initialized = False  # type: ignore[attr-defined]
                model._init_weights(module)


def save_classifier(model: Any, settings: EncoderSettings, classes: Sequence[str], folder: Path) -> None:
    """Write a folder that transformers loads as it is: weights, tokenizer, and the class names.

    Parameters
    ----------
    model
        A classifier of :func:`build_classifier`, trained.
    settings
        The encoder that it was built from.
    classes
        C class names in the order of the logits.
    folder
        Created if missing.
    """
    model.config.id2label = dict(enumerate(classes))
    model.config.label2id = {name: i for i, name in enumerate(classes)}
    model.config.problem_type = "single_label_classification"
    model.save_pretrained(folder)
    tokenizer = copy.deepcopy(load_tokenizer(settings))
    tokenizer.model_max_length = settings.max_length
    tokenizer.save_pretrained(folder)
