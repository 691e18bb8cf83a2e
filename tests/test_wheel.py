"""The wheel holds what the commands need: built without a network, and run from a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("study", "trainables", "search_spaces", "benchmarks")
BUILT = ("pyproject.toml", "README.md", *PACKAGES)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout, built from a copy: a build leaves folders behind."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in BUILT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation",
         "--wheel-dir", folder, source],
        check=True,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


def files_of_the_packages():
    return {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_packages(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == files_of_the_packages()


@pytest.mark.slow
def test_the_installed_program_runs_anywhere(wheel, tmp_path):
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel],
        check=True,
    )  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment["PYTHONPATH"] = str(site)

    def study(*words):
        return subprocess.run(
            [site / "bin" / "study", *words],
            cwd=elsewhere,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    where = subprocess.run(
        [sys.executable, "-c", "import study, trainables; print(study.__file__, trainables.__file__)"],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert all(Path(path).is_relative_to(site) for path in where)
    fault = study("launch", "admee")
    assert fault.returncode == 2 and fault.stderr.startswith("study launch: a fault"), fault.stderr
    counts = study("data", "adme", "--data", "sample")
    assert counts.returncode == 0 and "absorption" in counts.stdout, counts.stderr
    plan = study("adme", "--data", "sample", "--preset", "smoke", "--storage", "results", "--dry-run")
    assert plan.returncode == 0 and "Plan (smoke)" in plan.stderr, plan.stderr
    assert not list(elsewhere.iterdir())
