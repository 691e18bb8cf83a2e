"""What lies in a model's folder: whether its weights and its configuration can be what they are named.

Files are opened, not read: a look at their beginning and their table of contents tells most of what goes wrong with
downloads, and takes no time.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

# In the order in which transformers looks for them; the first one that is there is the one it loads.
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_LFS_POINTER = b"version https://git-lfs"
_WEB_PAGE = (b"<!doctype", b"<html")
# The archive that torch.save writes, and the pickles that it wrote before version 1.6.
_ARCHIVE, _PICKLE = b"PK\x03\x04", b"\x80"
# What other formats and tools leave in a folder, with the way from there.
_OTHERS = (
    (
        "adapter_model.*",
        "an adapter (PEFT), which is no whole model: merge it with its base model (merge_and_unload) and save that",
    ),
    ("tf_model.h5", "TensorFlow's weights: convert them to PyTorch, which transformers does before its version 5"),
    ("flax_model.msgpack", "Flax' weights: convert them to PyTorch, which transformers does before its version 5"),
    ("*.gguf", "a GGUF file, which holds quantised weights: get the original ones"),
    ("*.onnx", "an ONNX file, which cannot be trained: get the weights in PyTorch's format"),
    ("model.*.safetensors", "a variant of the weights: rename it to model.safetensors"),
    ("*.safetensors", "weights under a name that transformers does not look for: rename them to model.safetensors"),
)  # fmt: skip
_PLACES_BELOW = ("*", "snapshots/*")
# Pretraining that did not hide tokens, but replaced some for a discriminator to find.
_DISCRIMINATORS = ("Electra", "Funnel")
# How the weights of masked-language heads are named: BERT's family, RoBERTa's, ELECTRA's generators, DistilBERT, XLM;
# ModernBERT.
_MASKED_LM_HEAD = re.compile(
    r"(^|\.)(predictions|mask_predictions|lm_predictions|lm_head|generator_\w+|vocab_\w+|pred_layer)\."
    r"|^(head|decoder)\."
)


def folder_faults(folder: Path) -> list[str]:
    """Return what keeps a folder's model from being loaded, each a sentence's end (``lacks config.json: …``).

    The tokenizer's files are not looked at.
    """
    names = ["config.json"] if not os.path.lexists(folder / "config.json") else []
    chosen = next((name for name in _WEIGHTS if os.path.lexists(folder / name)), None)
    if chosen is None:
        names.append("model.safetensors")
    faults = []
    if names:
        faults.append(
            f"lacks {' and '.join(names)}: the folder needs config.json, model.safetensors and the tokenizer's files"
            + _what_is_there(folder)
        )
    if "config.json" not in names:
        faults += _config_faults(folder / "config.json")
    if chosen is not None:
        faults += _weight_faults(folder / chosen)
    return faults


def holds_masked_lm_head(folder: Path) -> bool:
    """Return whether a model's folder holds a masked-language head.

    Both its configuration has to say so and, where the file tells the names of its weights, these: many an encoder was
    saved without its head beside a configuration that still names it.
    """
    try:
        architectures = _json_object(folder / "config.json").get("architectures") or ()
    except ValueError:  # what is wrong with it is told as the folder's own fault
        return False
    names = _weight_names(folder)
    return names_masked_lm_head(architectures) and (names is None or any(map(_MASKED_LM_HEAD.search, names)))


def names_masked_lm_head(architectures: Iterable[str]) -> bool:
    """Return whether a configuration's architectures have a masked-language head.

    Examples
    --------
    >>> names_masked_lm_head(["BertForPreTraining"]), names_masked_lm_head(["ElectraForPreTraining"])
    (True, False)
    """
    return any(
        name.endswith("ForMaskedLM")
        or (name.endswith("ForPreTraining") and not name.startswith(_DISCRIMINATORS))
        for name in architectures
    )


def _weight_names(folder: Path) -> list[str] | None:
    """Return the names of a model's weights; None where its file does not tell them without being read."""
    chosen = next((name for name in _WEIGHTS if os.path.lexists(folder / name)), None)
    try:
        if chosen == "model.safetensors":
            with safe_open(folder / chosen, "numpy") as file:
                return list(file.keys())
        if chosen is not None and chosen.endswith(".json"):
            return list(_json_object(folder / chosen).get("weight_map", {}))
    except (OSError, ValueError, SafetensorError):  # told as the folder's own fault
        pass
    return None


def _what_is_there(folder: Path) -> str:
    """Return what the folder holds instead, and what to do with that; empty if it is nothing known."""
    for pattern, what in _OTHERS:
        found = next(iter(sorted(folder.glob(pattern))), None)
        if found is not None:
            return f". It holds {found.name}, {what}"
    below = (path.parent for place in _PLACES_BELOW for path in sorted(folder.glob(f"{place}/config.json")))
    model = next((place for place in below if any((place / name).exists() for name in _WEIGHTS)), None)
    return "" if model is None else f". Its folder {model.relative_to(folder)} holds a model: give that one"


def _config_faults(path: Path) -> list[str]:
    try:
        config = _json_object(path)
    except ValueError as error:
        return [str(error)]
    if "quantization_config" in config:
        how = config["quantization_config"]
        method = how.get("quant_method", "quantised") if isinstance(how, dict) else "quantised"
        return [
            f"holds quantised weights ({method}), which cannot be trained: give the model that it was made from"
        ]
    return []


def _weight_faults(path: Path) -> list[str]:
    if path.suffix != ".json":
        damage = _damage(path)
        return [f"has a file {path.name} that {damage}"] if damage else []
    try:
        shards = sorted(set(_json_object(path).get("weight_map", {}).values()))
    except (ValueError, AttributeError) as error:
        return [
            str(error) if isinstance(error, ValueError) else f"has a file {path.name} that names no files"
        ]
    missing = [name for name in shards if not os.path.lexists(path.with_name(name))]
    faults = []
    if missing or not shards:
        named = (
            f"lacks {', '.join(missing)}, which {path.name} names" if missing else f"has an empty {path.name}"
        )
        faults.append(f"{named}: copy the whole folder again")
    damaged = {name: _damage(path.with_name(name)) for name in shards if name not in missing}
    return faults + [f"has a file {name} that {damage}" for name, damage in damaged.items() if damage]


def _json_object(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises
    ------
    ValueError
        It is none; says so as a sentence's end.
    """
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"has a file {path.name} that {_unreadable(path, error)}") from error
    except ValueError as error:
        damage = _impostor(path.read_bytes()[:512]) or f"is no JSON ({error})"
        raise ValueError(f"has a file {path.name} that {damage}") from error
    if not isinstance(found, dict):
        raise ValueError(f"has a file {path.name} that is no JSON object: get the file again")
    return found


def _damage(path: Path) -> str | None:
    """Return what is wrong with a file of weights, None where nothing is."""
    try:
        with path.open("rb") as file:
            start = file.read(512)
        if damage := _impostor(start):
            return damage
        size = f"{path.stat().st_size:,} bytes"
        if path.suffix == ".safetensors":
            with safe_open(path, "numpy") as _:
                return None
        if start.startswith(_ARCHIVE):
            whole = zipfile.is_zipfile(path)
            return None if whole else f"is cut off or damaged (it ends after {size}): get it again"
        return None if start.startswith(_PICKLE) else f"holds no PyTorch weights ({size}): get it again"
    except SafetensorError as error:
        reason = str(error).rpartition(": ")[2]
        return f"is cut off or damaged ({size}; {reason}): get it again"
    except OSError as error:
        return _unreadable(path, error)


def _impostor(start: bytes) -> str | None:
    """Return what stands in a file's place, told from its beginning."""
    if not start:
        return "is empty: get it again"
    if start.startswith(_LFS_POINTER):
        return "is a Git LFS pointer, not the weights themselves: run `git lfs pull` where it was cloned"
    if start.lstrip().lower().startswith(_WEB_PAGE):
        return "is a web page, not the file itself: get it again, logged in where that is needed"
    return None


def _unreadable(path: Path, error: OSError) -> str:
    if path.is_symlink() and not path.exists():
        return f"is a link to {os.readlink(path)}, which is not there: copy the files, not the links"  # noqa: PTH115
    return f"cannot be read ({error.strerror or error})"
