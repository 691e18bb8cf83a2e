"""Whether a launch may resume the study in its folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from study.config.places import with_real_paths
from study.config.study import StudyConfig
from study.record.folder import StudyFolder

# Studies of earlier versions did not record these; whatever they had then is decided when they are resumed.
_LATER = ("precision", "kernels")


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
    return [
        f"{folder.root} holds a study {folder.name!r} with another configuration: {'; '.join(differences)}. "
        "Give --fresh to set that study aside and start over, or another --storage."
    ]
