"""Versions of the libraries: too old or missing ones are faults like any other."""

from __future__ import annotations

import importlib.metadata

from study.run.first_checks import MINIMUM_VERSIONS, version_faults


def test_what_is_installed_is_new_enough():
    assert version_faults() == []


def test_an_old_library_and_a_missing_one_are_both_named(monkeypatch):
    def version(name):
        if name == "ray":
            raise importlib.metadata.PackageNotFoundError(name)
        return "4.9.1" if name == "optuna" else "99.0"

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert version_faults() == [
        "ray is not installed, 2.60 or newer was expected: run `make setup`.",
        "optuna 4.9.1 is installed, 5.0 or newer was expected: run `make setup`.",
    ]
    assert set(MINIMUM_VERSIONS) >= {"ray", "optuna"}
