"""Where downloads, compiled kernels and paid answers of a user are kept."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """Return this project's folder in the place where the system keeps a user's caches.

    On Linux it is ``$XDG_CACHE_HOME/imbalance-study``, or ``~/.cache/imbalance-study`` if that variable is not set or
    not an absolute path.
    """
    return user_cache_path("imbalance-study", appauthor=False)
