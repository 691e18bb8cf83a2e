"""The kernels of ``kernels.c`` and ``attention.c``: compiled once per machine by its C compiler, called on tensors.

A step of a small encoder on a CPU is limited by memory traffic, not by arithmetic: these kernels do in one pass over a
tensor what takes PyTorch three to six. Without a C compiler, PyTorch's own operations compute the same function.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from trainables.cpu.dropout import DropoutKey
from trainables.user_cache import cache_folder

OFF = "STUDY_KERNELS"  # environment variable; "off" selects PyTorch's operations
# What a study computes with: these kernels, or PyTorch's operations.
COMPILED_KERNELS, TORCH_KERNELS = "compiled", "torch"
_FOLDER = Path(__file__).parent
# What is compiled for tensors of each data type.
_SOURCES = {torch.float32: ("-DFLOAT32", "kernels.c", "attention.c"), torch.bfloat16: ("kernels.c",)}
_FILES = ("vectors.h", "kernels.c", "attention.c")
_FLAGS = (
    "-std=c11", "-O3", "-march=native", "-mprefer-vector-width=512", "-fno-math-errno", "-fno-trapping-math",
    "-ffp-contract=fast", "-fopenmp", "-shared", "-fPIC",
)  # fmt: skip
Tensor = torch.Tensor
Argument = Tensor | int | float | DropoutKey | ctypes.c_void_p


# Widths that the kernels take are multiples of this.
LANES = 16


class _Dropout(ctypes.Structure):
    _fields_ = (
        ("first", ctypes.c_uint32),
        ("second", ctypes.c_uint32),
        ("threshold", ctypes.c_uint32),
        ("scale", ctypes.c_float),
    )


class Kernels:
    """The compiled libraries, one a data type. Tensors are contiguous, and all bfloat16 or all float32 unless stated
    otherwise."""

    def __init__(self, libraries: Mapping[torch.dtype, ctypes.CDLL]) -> None:
        self._libraries = libraries

    def gelu_backward_(self, gradient: Tensor, x: Tensor) -> Tensor:
        """Overwrite the gradient of gelu(x), (t, n), with that of x; return its column sums, (n,) float32."""
        sums = torch.zeros(x.shape[1])
        self.call("gelu_backward", gradient, x, sums, *x.shape)
        return sums

    def residual(
        self, x: Tensor, inner: Tensor, weight: Tensor, bias: Tensor, eps: float, key: DropoutKey
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return (t, h) x + dropout(inner), its layer norm, and the latter's (t, 2) float32 statistics.

        The norm's (h,) weight and bias are used in float32.
        """
        total, y, stats = torch.empty_like(x), torch.empty_like(x), torch.empty(len(x), 2)
        self.call("residual", x, inner, weight.float(), bias.float(), total, y, stats, *x.shape, eps, key)
        return total, y, stats

    def residual_backward(
        self, gradient: Tensor, total: Tensor, stats: Tensor, weight: Tensor, key: DropoutKey
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of x, of inner, and (3, h) float32: of weight, of bias, column sums of inner's.

        The norm's (h,) weight is used in float32.
        """
        for_x, for_inner = torch.empty_like(total), torch.empty_like(total)
        sums = torch.zeros(3, total.shape[1])
        self.call(
            "residual_backward",
            gradient,
            *(total, stats, weight.float(), for_x, for_inner, sums, *total.shape, key),
        )
        return for_x, for_inner, sums

    def softmax_(self, scores: Tensor, lengths: Tensor, key: DropoutKey) -> Tensor:
        """Overwrite (b·heads, q, l) scores with their softmax over each text's own length; return dropout of that."""
        kept = torch.empty_like(scores)
        self.call("softmax", scores, kept, lengths, *_pairs(scores, lengths), key)
        return kept

    def softmax_backward_(self, gradient: Tensor, share: Tensor, lengths: Tensor, key: DropoutKey) -> None:
        """Overwrite the gradient of what :meth:`softmax_` returned with that of the scores."""
        self.call("softmax_backward", gradient, share, lengths, *_pairs(share, lengths), key)

    def to_slots(
        self, rows: Tensor, starts: Tensor, lengths: Tensor, parts: int, heads: int, length: int
    ) -> Tensor:
        """Return (t, parts·heads·d) rows as (parts, b·heads, length, d), zero beyond a text's end."""
        size = rows.shape[1] // (parts * heads)
        slots = rows.new_empty(parts, len(starts) * heads, length, size)
        self.call("to_slots", rows, slots, starts, lengths, parts, len(starts), heads, length, size)
        return slots

    def to_rows(
        self, slots: Tensor, starts: Tensor, lengths: Tensor, heads: int, used: int, total: int
    ) -> Tensor:
        """Reverse :meth:`to_slots`; rows from ``used`` to ``total`` become zero."""
        parts, _, length, size = slots.shape
        rows = slots.new_empty(total, parts * heads * size)
        shape = (parts, len(starts), heads, length, size, used, total)
        self.call("to_rows", slots, rows, starts, lengths, *shape)
        return rows

    def call(self, name: str, numbers: Tensor, *arguments: Argument) -> None:
        """Call a function of the library of ``numbers``' data type on them and further arguments."""
        kernel = getattr(self._libraries[numbers.dtype], name)
        kernel(*map(_argument, (numbers, *arguments)), ctypes.c_int(torch.get_num_threads()))


def _pairs(scores: Tensor, lengths: Tensor) -> tuple[int, int, int, int]:
    pairs, queries, keys = scores.shape
    return len(lengths), pairs // len(lengths), queries, keys


def _argument(value: Argument) -> object:
    if isinstance(value, Tensor):
        if not value.is_contiguous():
            raise ValueError(f"a kernel needs contiguous tensors; got shape {tuple(value.shape)}")
        return ctypes.c_void_p(value.data_ptr())
    if isinstance(value, DropoutKey):
        threshold = round(value.p * 2**32)
        return ctypes.byref(_Dropout(value.first, value.second, threshold, 1.0 / (1.0 - value.p)))
    if isinstance(value, ctypes.c_void_p):
        return value
    return ctypes.c_int64(value) if isinstance(value, int) else ctypes.c_float(value)


@functools.cache
def compiled_kernels() -> Kernels | None:
    """Return the kernels, compiled unless the user's cache folder holds them; None where PyTorch does the work.

    That is on processors without AVX2, where the environment variable ``STUDY_KERNELS`` is ``off``, and, with a
    warning, where the kernels cannot be compiled.
    """
    if os.environ.get(OFF) == "off" or not torch.cpu.get_capabilities().get("avx2", False):
        return None
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        warnings.warn(_slower("there is no C compiler (cc, or what CC names)"), stacklevel=2)
        return None
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout
    machine = str(sorted(torch.cpu.get_capabilities().items()))
    libraries = {}
    texts = [(_FOLDER / name).read_text() for name in _FILES]
    for dtype, sources in _SOURCES.items():
        command = (compiler, *_FLAGS, *sources)
        parts = (*texts, version, " ".join(command[1:]), machine)
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
        path = cache_folder() / "kernels" / f"{digest}.so"
        try:
            failure = "" if path.exists() else _compile(command, path)
            if not failure:
                libraries[dtype] = ctypes.CDLL(str(path))
        except OSError as error:  # a folder that cannot be written to, or from which nothing may be loaded
            failure = str(error)
        if failure:
            warnings.warn(_slower(f"{compiler} did not compile the kernels: {failure}"), stacklevel=2)
            return None
    return Kernels(libraries)


def _slower(reason: str) -> str:
    return f"{reason}; PyTorch's own operations are used, and training takes longer"


def _compile(command: Sequence[str], path: Path) -> str:
    """Compile to ``path`` atomically, since processes may do so at once; return what failed, or an empty string."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        built = Path(folder) / path.name
        done = subprocess.run(
            [*command, "-o", str(built), "-lm"], capture_output=True, text=True, check=False, cwd=_FOLDER
        )
        if done.returncode != 0:
            return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"
        built.replace(path)
    return ""
