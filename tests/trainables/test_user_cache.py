"""The folder of a user's cache, as the XDG base directory specification has it."""

import sys
from pathlib import Path

import pytest

from trainables.user_cache import cache_folder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have folders of their own")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_an_absolute_folder_is_taken_as_it_is(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/else")
    assert cache_folder() == Path("/somewhere/else/imbalance-study")


@pytest.mark.parametrize("value", [None, "", "  ", "relative/folder", "./here", "~/there"])
def test_any_other_value_leaves_the_folder_in_the_users_home(value, home, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    if value is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert cache_folder() == home / ".cache" / "imbalance-study"
    assert not (home / ".cache").exists()  # asking makes nothing
