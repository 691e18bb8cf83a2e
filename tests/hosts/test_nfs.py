"""Two drivers share a cache over NFS: nothing is torn, nothing is trained twice, and a lost driver's lease passes on.

Many kernels lack NFS (those of containers and small virtual machines), so one is started as a program.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.hosts import nfs_client
from tests.hosts.hosts import ROOT, lacking
from tests.tiny_encoder import write_tiny_encoder

KERNEL = "linux.uml"
MODULES = Path("/usr/lib/uml/modules")
TOOLS = (KERNEL, "exportfs", "rpc.mountd", "rpc.nfsd", "mount.nfs4", "mkfs.ext4", "modprobe", "ip", "unshare")
SCRIPT = Path(__file__).with_name("nfs.sh")
# Pieces of memory of a process. A process in the kernel is one of this machine, and each of its pages may be a piece.
PIECES, ENOUGH = Path("/proc/sys/vm/max_map_count"), 1_000_000


LACKING = lacking(TOOLS) or (None if MODULES.is_dir() else f"{MODULES} is not there")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(LACKING is not None, reason=LACKING or "")]


@pytest.fixture(scope="module")
def enough_pieces():
    """Let processes have as many pieces of memory as libraries need in the kernel."""
    before = PIECES.read_text()
    if int(before) >= ENOUGH:
        yield
        return
    try:
        PIECES.write_text(str(ENOUGH))
    except OSError as error:
        pytest.skip(f"{PIECES} is {before.strip()} and cannot be raised: {error}")
    try:
        yield
    finally:
        PIECES.write_text(before)


@pytest.fixture(scope="module")
def left(tmp_path_factory, enough_pieces):
    """What the clients left: a folder."""
    folder = tmp_path_factory.mktemp("nfs")
    write_tiny_encoder(folder / "encoder")
    disk = folder / "disk"
    with disk.open("wb") as file:
        file.truncate(2 * 10**9)
    subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
    kernel = [
        KERNEL, "mem=3G", f"ubd0={disk}", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
        f"init={SCRIPT}", "con=null", "con0=null,fd:1", "quiet", f"FOLDER={folder}", f"ROOT={ROOT}",
        f"PYTHON={sys.executable}", f"MODULES={MODULES}",
    ]  # fmt: skip
    started = time.monotonic()
    with (folder / "console").open("w") as console:
        run_to_its_end(kernel, console)
    said = [path.read_text()[-3000:] for path in (folder / "console", folder / "log") if path.exists()]
    assert (folder / "done").exists(), "\n".join(said)
    print(f"{time.monotonic() - started:.0f} s in the kernel")
    return folder


def run_to_its_end(kernel, console):
    """Run the kernel; its processes are some of this machine, and end with it in any case."""
    running = subprocess.Popen(
        kernel, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
    )
    try:
        running.wait(1500)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


@pytest.fixture(scope="module")
def undisturbed(left):
    """The replicates of one driver alone, with a cache on this machine's disk."""
    out = left / "alone"
    (left / "go").touch()
    where = [left / "encoder", left / "cache", out, left / "go"]
    command = [sys.executable, "-m", "tests.hosts.nfs_client", *where]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # as in the kernel: the last digits hang on it
    subprocess.run(command, cwd=ROOT, env=one_thread, check=True, timeout=900)
    return replicates(out)


def replicates(path):
    """Return the replicates that a driver wrote down."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def total(found, name):
    """Return a diagnostic's sum over replicates."""
    return sum(each["diagnostics"].get(name, 0.0) for each in found)


def trained(found):
    """Return how many of the replicates trained their first stage, or its end, themselves."""
    return sum(each["diagnostics"]["stage1_cache_hits"] == 0.0 for each in found)


def test_the_folders_were_nfs_of_two_clients(left):
    mounted = {tuple(line.split()[1:3]) for line in (left / "mounts").read_text().splitlines()}
    assert mounted == {("/mnt/a", "nfs4"), ("/mnt/b", "nfs4")}
    names = re.findall(r"^name: .*NFSv4\.\d (\w+)", (left / "clients").read_text(), re.MULTILINE)
    assert sorted(names) == ["a", "b"], (left / "clients").read_text()


def test_two_drivers_at_once_score_as_one_alone_and_train_each_first_stage_once(left, undisturbed):
    both = [replicates(left / f"shared-{client}") for client in "ab"]
    scores = [[each["metrics"] for each in found] for found in (*both, undisturbed)]
    assert scores[0] == scores[1] == scores[2]
    assert len(scores[0]) == len(nfs_client.TRIALS) * nfs_client.REPLICATES
    made = "augmentations_computed"
    assert sum(total(found, made) for found in both) == total(undisturbed, made) > 0
    assert sum(map(trained, both)) == trained(undisturbed)
    assert [total(found, "cache_corrupt") for found in both] == [0.0, 0.0]
    print(
        f"first stages trained: {[trained(found) for found in both]}; by one driver alone {trained(undisturbed)}"
    )


def test_a_driver_takes_over_from_one_that_was_lost_on_another_machine(left, undisturbed):
    assert replicates(left / "lost-a") == []  # it was killed in its first one
    found = replicates(left / "lost-b")
    assert [each["metrics"] for each in found] == [each["metrics"] for each in undisturbed]
    assert total(found, "cache_corrupt") == 0.0


def test_nothing_half_written_and_no_lease_is_left(left):
    names = [Path(line).name for line in (left / "files").read_text().splitlines()]
    assert names and not [name for name in names if name.endswith(".lease")]
    assert sum(name.startswith(".writing-") for name in names) <= 1  # the killed driver's
