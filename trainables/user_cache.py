"""Where downloads, compiled kernels and paid answers of a user are kept."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """Return the user's cache folder of this project, where the system has such folders.

    On Linux it is ``$XDG_CACHE_HOME/imbalance-study``, and ``~/.cache/imbalance-study`` where that is not set or no
    absolute path.
    """
    return user_cache_path("imbalance-study", appauthor=False)
