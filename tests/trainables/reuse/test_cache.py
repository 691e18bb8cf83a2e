from __future__ import annotations

import contextlib
import errno
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from trainables.reuse import cache as module
from trainables.reuse.cache import CHECKPOINT, GRACE_S, PAID_ANSWER, ContentCache


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_written_since_sweep", {})
    return ContentCache(tmp_path, max_bytes=10_000)


def age(cache, kind, key, seconds):
    path = cache.path(kind, key)
    used = path.stat().st_mtime - seconds
    os.utime(path, (used, used))


def fill(cache, n, kind="stage1", size=1000, first_age=50 * GRACE_S):
    """Store n entries, the first used longest ago."""
    for i in range(n):
        cache.put(kind, f"key{i}", b"x" * size)
        age(cache, kind, f"key{i}", first_age - i * GRACE_S)


def stored_bytes(cache):
    return sum(path.stat().st_size for path in cache.root.rglob("*") if path.is_file())


def test_gives_back_what_was_stored_and_counts(cache):
    assert cache.get("stage1", "abc") is None
    cache.put("stage1", "abc", b"content")
    assert cache.get("stage1", "abc") == b"content"
    assert cache.get("checkpoint", "abc") is None
    assert (cache.hits, cache.misses) == ({"stage1": 1}, {"stage1": 1, "checkpoint": 1})


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b[:10], lambda b: b"", lambda b: b[:-1] + b"!"]
)
def test_a_damaged_entry_is_missing_removed_and_counted(cache, damage):
    cache.put("stage1", "abc", b"content")
    path = cache.path("stage1", "abc")
    path.write_bytes(damage(path.read_bytes()))
    assert cache.get("stage1", "abc") is None
    assert not path.exists()
    assert cache.corrupt == {"stage1": 1}


def test_keys_are_those_of_a_prefix(cache):
    for key in ("abcd-4", "abcd-12", "abce-4"):
        cache.put("stage1", key, b"")
    assert cache.keys("stage1", "abcd-") == ["abcd-12", "abcd-4"]
    assert cache.keys("stage1", "ffff") == []


def test_the_entries_used_longest_ago_make_room_whatever_their_kind(cache):
    fill(cache, 4, kind="augmentation", first_age=90 * GRACE_S)
    fill(cache, 9)
    cache.put("stage1", "new", b"x" * 1000)
    assert stored_bytes(cache) <= 10_000
    assert cache.keys("augmentation", "key") == []
    assert cache.keys("stage1", "key") == [f"key{i}" for i in range(1, 9)]
    assert cache.evicted == 5


def test_a_look_up_counts_as_use(cache):
    fill(cache, 9)
    assert cache.get("stage1", "key0") is not None
    cache.put("stage1", "new", b"x" * 1000)
    assert cache.path("stage1", "key0").exists()
    assert not cache.path("stage1", "key1").exists()


def test_what_was_just_written_or_read_is_kept_even_above_the_limit(cache):
    fill(cache, 2)
    for i in range(20):
        cache.put("stage1", f"new{i}", b"x" * 1000)
    assert len(cache.keys("stage1", "new")) == 20
    assert cache.keys("stage1", "key") == []


def test_paid_answers_are_never_evicted_and_push_nothing_out(cache):
    fill(cache, 30, kind=PAID_ANSWER, first_age=10_000 * GRACE_S)
    fill(cache, 9)
    cache.put("stage1", "new", b"x" * 1000)
    assert len(cache.keys(PAID_ANSWER, "key")) == 30
    assert cache.keys("stage1", "key") == [f"key{i}" for i in range(1, 9)]


def test_checkpoints_of_running_trials_push_nothing_out(cache):
    """Many trials at a time can hold more in checkpoints than the whole limit."""
    fill(cache, 8)
    for i in range(20):
        cache.put(CHECKPOINT, f"key{i}", b"x" * 1000)
    assert len(cache.keys(CHECKPOINT, "key")) == 20
    assert len(cache.keys("stage1", "key")) == 8 and cache.evicted == 0


def test_a_checkpoint_outlives_the_longest_pause_between_two_of_a_stage(cache):
    day = 86_400
    for key, days in (("long ago", 3), ("yesterday", 1)):
        cache.put(CHECKPOINT, key, b"x" * 1000)
        age(cache, CHECKPOINT, key, days * day)
    fill(cache, 10)
    cache.put("stage1", "new", b"x" * 1000)
    assert not cache.path(CHECKPOINT, "long ago").exists()
    assert cache.path(CHECKPOINT, "yesterday").exists()
    assert cache.keys("stage1", "key")[0] == "key2"  # the checkpoint of yesterday does not count


def test_what_cannot_be_written_is_counted_and_told_once(cache, monkeypatch, caplog):
    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_warned", set())
    cache.offer("stage1", "before", b"content")
    monkeypatch.setattr(module.os, "replace", full)
    for key in ("one", "two"):
        cache.offer("stage1", key, b"content")
        with pytest.raises(OSError, match="No space"):
            cache.put("paraphrase", key, b"paid for")
    assert cache.unwritten == 2
    assert len(caplog.records) == 1 and "No space left on device" in caplog.text
    assert cache.get("stage1", "before") == b"content"
    assert [path.name for path in cache.root.rglob("*") if path.is_file()] == ["before"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE, errno.EIO])
def test_what_cannot_be_read_is_missing_counted_and_told_once(cache, monkeypatch, caplog, number):
    monkeypatch.setattr(module, "_warned", set())
    for kind in ("stage1", PAID_ANSWER):
        cache.put(kind, "abc", b"content")

    def refuse(path):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as refused:
        refused.setattr(module.Path, "read_bytes", refuse)
        for _ in range(2):
            assert cache.get("stage1", "abc") is None
        with pytest.raises(OSError, match=os.strerror(number)):
            cache.get(PAID_ANSWER, "abc")
    assert (cache.misses, cache.unread, cache.corrupt) == ({"stage1": 2}, 2, {})
    assert len(caplog.records) == 1 and os.strerror(number) in caplog.text
    assert cache.get("stage1", "abc") == b"content"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everywhere")
def test_a_folder_of_another_user_is_no_cache(cache):
    cache.put("stage1", "abc", b"content")
    folder = cache.path("stage1", "abc").parent
    folder.chmod(0)
    try:
        assert cache.get("stage1", "abc") is None
        assert not cache.holds("stage1", "abc") and cache.keys("stage1", "ab") == []
        cache.remove("stage1", "abc")
        cache.offer("stage1", "abd", b"content")
        assert (cache.unread, cache.unwritten) == (1, 1)
    finally:
        folder.chmod(0o700)
    assert cache.get("stage1", "abc") == b"content"


@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
def test_entries_have_the_mode_that_the_user_gives_to_new_files(cache, mask):
    before = os.umask(mask)
    try:
        cache.put("stage1", "abc", b"content")
    finally:
        os.umask(before)
    assert cache.path("stage1", "abc").stat().st_mode & 0o777 == 0o666 & ~mask


def test_what_another_user_stored_stays_and_hinders_nobody(cache, monkeypatch):
    fill(cache, 9)
    theirs = {cache.path("stage1", f"key{i}") for i in range(3)}
    unlink = module.Path.unlink

    def refuse(path, missing_ok=False):
        if path in theirs:
            raise PermissionError(errno.EACCES, "Permission denied")
        unlink(path, missing_ok)

    monkeypatch.setattr(module.Path, "unlink", refuse)
    cache.put("stage1", "new", b"x" * 1000)
    assert all(path.exists() for path in theirs)
    assert stored_bytes(cache) <= 10_000 and cache.evicted == 1


def test_a_half_written_file_is_left_until_its_writer_must_be_dead(cache):
    cache.put("stage1", "abc", b"content")
    folder = cache.path("stage1", "abc").parent
    for name, hours in ((".writing-old", 30), (".writing-new", 1)):
        (folder / name).write_bytes(b"half")
        used = cache.path("stage1", "abc").stat().st_mtime - hours * 3600
        os.utime(folder / name, (used, used))
    cache.put("stage1", "abd", b"x" * 1000)
    assert {path.name for path in folder.iterdir()} == {"abc", "abd", ".writing-new"}


def test_a_full_disk_lowers_the_limit(cache, monkeypatch):
    fill(cache, 6)
    usage = type("Usage", (), {"free": 500})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    cache.put("stage1", "new", b"x" * 1000)
    assert stored_bytes(cache) <= (500 + 7 * 1032) // 2


def test_writers_that_evict_at_the_same_time_lose_nothing_that_is_read(cache):
    """Every look-up gives the right bytes or none."""

    def work(seed):
        own = ContentCache(cache.root, max_bytes=5000)
        for i in range(40):
            key = f"key{(seed + i) % 25}"
            assert own.get("stage1", key) in (None, key.encode() * 200)
            own.put("stage1", key, key.encode() * 200)
            with contextlib.suppress(FileNotFoundError):  # another one has evicted it
                age(own, "stage1", key, 2 * GRACE_S)
        return own

    with ThreadPoolExecutor(4) as pool:
        caches = list(pool.map(work, range(4)))
    assert sum(own.evicted for own in caches) > 0
    assert all(own.corrupt == {} for own in caches)
