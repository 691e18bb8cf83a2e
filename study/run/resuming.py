"""Whether a launch may resume the study in its folder, and with which preset."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping

from study.config.places import with_real_paths
from study.config.study import StudyConfig
from study.config.study_files import read
from study.record.folder import StudyFolder
from trainables.errors import ConfigurationError

# Studies of earlier versions did not record these; whatever they had then is decided when they are resumed.
_LATER = ("precision", "kernels")


def preset_begun_with(folder: StudyFolder, given: str) -> str | None:
    """Return the preset with which the study in a folder began; None where there is none, or it is not recorded.

    Parameters
    ----------
    folder
        Where the study would lie.
    given
        The study as the command line names it, whose presets are looked through.

    Raises
    ------
    ConfigurationError
        The study has no such preset any more, or its record is damaged.
    """
    known = None
    with contextlib.suppress(OSError):  # the checks of the storage folder tell what keeps it from being read
        known = folder.read_facts()
    preset = None if known is None else known.get("preset")
    presets = read(given).presets
    if preset is None or preset in presets:
        return preset
    raise ConfigurationError(
        f"{folder.root} holds a study {folder.name!r} that began with the preset {preset!r}, which {given} no longer "
        f"has. Its presets are: {', '.join(presets)}. Give that one back to the study file to go on, or --fresh to set "
        "that study aside and start over."
    )


def resume_faults(
    folder: StudyFolder, config: StudyConfig, corpus_digest: str, numerics: Mapping[str, str]
) -> list[str]:
    """Return how an existing study differs from the one now asked for; an empty list means that it can be resumed."""
    known = folder.read_facts()
    if known is None:
        return []
    before, now = known["config"], config.identity()
    # An arm that came later has run in no earlier launch, so its grid is no difference.
    had = before.get("arm_spaces", {})
    now["arm_spaces"] = {arm: grid for arm, grid in now["arm_spaces"].items() if arm in had}
    same, as_now = with_real_paths(before), with_real_paths(now)
    differences = [
        f"{name} was {before[name]!r} and is now {now.get(name)!r}"
        for name in sorted(before)
        if same[name] != as_now.get(name)
    ]
    if later := sorted(
        before.keys() - now.keys() - {field.name for field in dataclasses.fields(StudyConfig)}
    ):
        differences = [sentence for sentence in differences if sentence.partition(" was ")[0] not in later]
        made_by = f" (commit {known['git_commit']})" if known.get("git_commit") else ""
        differences.append(
            f"it was made by a later version{made_by}, which has {', '.join(later)}: go on with that version"
        )
    if unknown := sorted(now.keys() - before.keys()):
        differences.append(f"it was made by an earlier version that did not know {', '.join(unknown)}")
    differences += [
        f"the {name.replace('_', ' ')} was {known['numerics'].get(name, 'an older one')} and is now {value}"
        for name, value in numerics.items()
        if known["numerics"].get(name) != value and not (name in _LATER and name not in known["numerics"])
    ]
    if known["corpus"]["digest"] != corpus_digest:
        differences.append(
            f"the corpus was {known['corpus']['digest']} ({known['corpus']['source']}) and is now {corpus_digest}"
        )
    if not differences:
        return []
    preset = known.get("preset", config.preset)
    is_other = preset != config.preset
    go_on = f"--preset {preset}, with which it began, to go on with it, or " if is_other else ""
    return [
        f"{folder.root} holds a study {folder.name!r} with another configuration: {'; '.join(differences)}. "
        f"Give {go_on}--fresh to set that study aside and start over, or another --storage."
    ]
