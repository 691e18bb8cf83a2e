"""What this machine has, told without Ray as Ray tells it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from ray._private import utils

from study.config.faults import study_faults
from study.config.files import read_study_file
from study.run import place
from study.run.cluster import count_here, join_running_cluster
from trainables.errors import ConfigurationError

V1 = ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us", "cpuset/cpuset.cpus")


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"cpu.max": "max 100000\n"},
        {"cpu.max": "200000 100000\n"},
        {"cpu.max": "250000 100000\n"},
        {"cpu.max": "nonsense\n"},
        dict(zip(V1, ("-1\n", "100000\n", "0-3\n"), strict=True)),
        dict(zip(V1, ("150000\n", "100000\n", "0,2-4\n"), strict=True)),
        dict(zip(V1, ("600000\n", "100000\n", "1\n"), strict=True)),
        {V1[0]: "300000\n", V1[1]: "100000\n"},
        {V1[2]: "5-6,9\n"},
    ],
)
def test_processors_are_counted_as_ray_counts_them(tmp_path, monkeypatch, files):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(place, "_CGROUP", tmp_path)
    monkeypatch.delenv("RAY_USE_MULTIPROCESSING_CPU_COUNT", raising=False)
    monkeypatch.setattr(place, "_bound_to", lambda: 64)
    limit = utils._get_docker_cpus(*(str(tmp_path / name) for name in (*V1, "cpu.max")))
    assert place.cpus_here() == (os.cpu_count() if limit is None else int(limit))


def test_this_machines_processors_are_those_of_ray_that_the_process_is_bound_to():
    bound = len(os.sched_getaffinity(0))
    assert place.cpus_here() == min(bound, utils.get_num_cpus(override_docker_cpu_warning=True))
    assert count_here().total["CPU"] == place.cpus_here()


def test_a_process_that_is_bound_to_one_processor_counts_one():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert place.cpus_here() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_a_command_began_when_its_process_did():
    ask = (
        "import sys, time\nfrom types import SimpleNamespace\ntime.sleep(1.5)\nfrom study.run import place\n"
    )
    command = "sys.modules['__main__'].__spec__ = SimpleNamespace(name='study.launch')\n"
    tell = "print(time.time() - place.program_began())"
    ages = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for code in (ask + command + tell, ask + tell)
    ]
    assert ages[0] >= 1.5 - 0.1 and ages[1] < 0.1, "another program's age is none of the command's"


def test_an_address_where_nothing_listens_is_refused_at_once(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="no Ray cluster answers there"):
        join_running_cluster()


def test_a_wrong_grid_of_the_command_line_is_a_fault_and_no_crash():
    config, unknown = read_study_file("adme", "smoke", {"space": {"operator": 5}})
    assert unknown == [] and any("space['operator'] is 5" in fault for fault in study_faults(config))
    config, _ = read_study_file("adme", "smoke", {"imbalance_ratios": (1, 1.0)})
    assert any("names a ratio twice" in fault for fault in study_faults(config))
