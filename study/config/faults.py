"""Faults of a study's values that no rule of a single value can find: of several together."""

from __future__ import annotations

import math
from collections.abc import Callable

from study.config.arms import ALWAYS, CONTROLS
from study.config.ranges import allows, axes_of, axis_of, axis_words, size_of
from study.config.samplers import sampler_faults
from study.config.space_faults import is_sound, readers, space_faults
from study.config.study import StudyConfig
from study.config.values import value_faults
from trainables.augment.registry import option_faults
from trainables.method.arms import ARM_TABLE, ARMS, PAPER_ARM, settings_of
from trainables.rules import field_faults, unknown
from trainables.settings import NATURAL, TEST_SETS


def study_faults(config: StudyConfig) -> list[str]:
    """Return every fault of a study's values; an empty list means that they can work.

    A rule about several values is not checked where one of them is already wrong.
    """
    wrong = field_faults(config)
    together: tuple[tuple[Callable[[StudyConfig], list[str]], tuple[str, ...]], ...] = (
        (_ratio_faults, ("imbalance_ratios",)),
        (
            lambda c: c.split_settings().faults(),
            ("validation_fraction", "test_fraction", "folds", "fold"),
        ),
        (_trial_faults, ("trials", "imbalance_ratios")),
        (_test_set_faults, ("trials", "test_sets", "imbalance_ratios")),
        (_confirmation_faults, ("test_sets", "confirmation_replicates", "until_decided")),
        (
            _replicate_faults,
            ("replicates", "grace_replicates"),
        ),
        (_worker_faults, ("workers_per_trial", "gpus_per_trial")),
        (_space_faults, ("space", "fixed", "first")),
        (_reference_space_faults, ("reference_space", "fixed")),
        (
            _sampler_faults,
            ("sampler", "aim", "trials", "space", "reference_space", "arm_spaces", "arms", "arm_trials"),
        ),
        (_fixed_faults, ("fixed", "arms")),
        (_paper_faults, ("paper",)),
        (_arm_faults, ("arms",)),
        (_arm_space_faults, ("arm_spaces", "fixed")),
        (_tuning_faults, ("arms", "arm_spaces", "arm_trials")),
        (lambda c: option_faults(c.operator_options), ("operator_options",)),
    )
    faults = [fault for check, fields in together if not wrong.keys() & {*fields} for fault in check(config)]
    return [*wrong.values(), *faults]


def _ratio_faults(config: StudyConfig) -> list[str]:
    faults = []
    if not config.imbalance_ratios:
        faults.append("imbalance_ratios is empty: give at least one ratio in (0, 1], or 'natural'.")
    for ratio in config.imbalance_ratios:
        faults.extend(value_faults("imbalance_ratio", ratio))
    possible = [ratio for ratio in config.imbalance_ratios if not value_faults("imbalance_ratio", ratio)]
    if len(set(possible)) < len(possible):
        faults.append(
            f"imbalance_ratios {list(config.imbalance_ratios)} names a ratio twice: name each once."
        )
    return faults


def _trial_faults(config: StudyConfig) -> list[str]:
    ratios = len(config.imbalance_ratios)
    if config.trials >= ratios or config.trials == 0:
        return []
    return [
        f"trials is {config.trials} for {ratios} imbalance ratios: some would get no trial. Give at least "
        f"{ratios}, fewer ratios (--imbalance-ratio), or 0 to compare fixed recipes without a search."
    ]


def _test_set_faults(config: StudyConfig) -> list[str]:
    faults = [unknown("a test set", name, TEST_SETS) for name in config.test_sets if name not in TEST_SETS]
    if config.test_sets and config.trials:
        faults.append(
            f"test_sets is {list(config.test_sets)} in a study that searches ({config.trials} trials): its choice "
            "would be made with the test split in view. Leave test_sets empty, or set trials to 0."
        )
    if "test_skewed" in config.test_sets and NATURAL in config.imbalance_ratios:
        faults.append(
            "test_sets names 'test_skewed', which needs an imposed imbalance ratio, but imbalance_ratios has "
            "'natural': remove one of them."
        )
    return faults


def _confirmation_faults(config: StudyConfig) -> list[str]:
    faults = []
    if config.test_sets and config.confirmation_replicates:
        faults.append(
            f"confirmation_replicates is {config.confirmation_replicates} in a study whose every run is scored on the "
            f"test split (test_sets {list(config.test_sets)}): nothing would be new there. Set it to 0, or leave "
            "test_sets empty."
        )
    if config.until_decided is not None and config.until_decided < max(1, config.confirmation_replicates):
        faults.append(
            f"until_decided is {config.until_decided}, fewer than confirmation_replicates "
            f"({config.confirmation_replicates}): it is the most replicates that a confirmation may come to."
        )
    return faults


def _replicate_faults(config: StudyConfig) -> list[str]:
    if config.grace_replicates <= config.replicates:
        return []
    return [
        f"grace_replicates is {config.grace_replicates}, more than replicates ({config.replicates}): lower "
        "grace_replicates or raise replicates."
    ]


def _worker_faults(config: StudyConfig) -> list[str]:
    if config.workers_per_trial == 1 or (config.gpus_per_trial or 0) % 1 == 0:
        return []
    return [
        f"gpus_per_trial is {config.gpus_per_trial} with {config.workers_per_trial} workers per trial: "
        "every worker needs whole GPUs. Give a whole number, or one worker."
    ]


def _space_faults(config: StudyConfig) -> list[str]:
    faults = space_faults("space", config.space, "prefinetune", config.fixed)
    for name, value in config.first.items():
        faults.extend(value_faults(name, value))
        if name not in config.space:
            faults.append(f"first names {name!r}, which space does not search: remove it or add it to space.")
        elif is_sound(name, config.space[name]) and not allows(name, config.space[name], value):
            values = axis_words(config.space[name], repr)
            faults.append(f"first[{name!r}] is {value!r}, which is not one of space's values ({values}).")
    return faults


def _reference_space_faults(config: StudyConfig) -> list[str]:
    faults = space_faults("reference_space", config.reference_space, "vanilla", config.fixed)
    space = config.reference_space
    ranges = [
        n for n, given in space.items() if is_sound(n, given) and size_of(axis_of(n, given)) == math.inf
    ]
    if ranges and not config.trials:
        faults.append(
            f"reference_space gives {', '.join(ranges)} a range in a study without trials, in which vanilla's search "
            "goes through all values: give a list, or a step."
        )
    return faults


def _sampler_faults(config: StudyConfig) -> list[str]:
    spaces = {"space": config.space, "reference_space": config.reference_space}
    spaces |= {f"arm_spaces[{arm!r}]": config.arm_spaces.get(arm, {}) for arm in config.tuned_arms()}
    if not config.trials or not all(is_sound(*given) for space in spaces.values() for given in space.items()):
        return []
    axes = {where: axes_of(space) for where, space in spaces.items()}
    return sampler_faults(config.sampler, axes, config.aim)


def _fixed_faults(config: StudyConfig) -> list[str]:
    faults = [fault for name, value in config.fixed.items() for fault in value_faults(name, value)]
    if "imbalance_ratio" in config.fixed:
        faults.append("fixed names imbalance_ratio: give the ratios as imbalance_ratios instead.")
    read = {name for arm in (*ALWAYS, *config.arms) if arm in ARMS for name in settings_of(arm)}
    faults += [
        f"fixed names {name!r}, which no arm of this study reads: remove it, or choose an arm that does "
        f"({readers(name)})."
        for name, value in config.fixed.items()
        if name != "imbalance_ratio" and not value_faults(name, value) and name not in read
    ]
    return faults


def _paper_faults(config: StudyConfig) -> list[str]:
    faults = [fault for name, value in config.paper.items() for fault in value_faults(name, value)]
    own = [name for name in settings_of(PAPER_ARM) if name not in ("arm", "imbalance_ratio")]
    return faults + [
        f"paper names {name!r}, which the arm paper does not read; it reads {', '.join(own)}."
        for name, value in config.paper.items()
        if not value_faults(name, value) and name not in own
    ]


def _arm_faults(config: StudyConfig) -> list[str]:
    faults = [
        unknown("an arm", arm, (*CONTROLS, *ALWAYS)) for arm in config.arms if arm not in CONTROLS + ALWAYS
    ]
    if len({*map(repr, config.arms)}) < len(config.arms):
        faults.append(f"arms {list(config.arms)} names an arm twice: name each once.")
    return faults


def _arm_space_faults(config: StudyConfig) -> list[str]:
    faults = []
    for arm, space in config.arm_spaces.items():
        if arm not in CONTROLS:
            faults.append(unknown("an arm of arm_spaces", arm, CONTROLS))
        else:
            faults += space_faults(f"arm_spaces[{arm!r}]", space, arm, config.fixed)
    return faults


def _tuning_faults(config: StudyConfig) -> list[str]:
    faults = [
        f"arms names {arm!r}, which only runs with a search of its own: give it trials (--arm-trials), or leave it out."
        for arm in config.arms
        if arm in CONTROLS and ARM_TABLE[arm].only_tuned and arm not in config.tuned_arms()
    ]
    return faults + [
        f"arm_trials is {config.trials_of(arm)!r}, but arm_spaces has no grid for {arm!r}: add one, or set "
        "arm_trials to 0 to run it at settings tuned for another arm."
        for arm in config.tuned_arms()
        if not config.arm_spaces.get(arm)
    ]
