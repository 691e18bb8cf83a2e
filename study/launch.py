"""``python -m study.launch NAME``: baselines, search, controls, comparison, report. Run again to resume."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from study.command.cli import BAD_CONFIGURATION, STOPPED, run_command
from study.command.launch_arguments import build_parser, listing, read_overrides
from study.config.files import read_study_file
from study.config.study_files import FACT as STUDY_FILE
from study.config.study_files import file_facts, taken_name_faults
from study.record.folder import DISK, StudyFolder, name_faults
from study.run import cluster, place
from study.run.first_checks import first_checks
from study.run.resuming import preset_begun_with
from trainables.corpora.corpus import Corpus
from trainables.corpora.wording import counts_in_words
from trainables.errors import ConfigurationError, collect
from trainables.rules import field_faults, rules_of

if TYPE_CHECKING:
    from study.command.conduct import StudyEnd
    from study.config.study import StudyConfig


_PRESET_UNSURE = (
    "The cluster has no GPU at this moment, and it cannot be told what its autoscaler may start: the preset is laptop, "
    "which trains on CPUs. Where it starts GPU nodes, give --preset cluster."
)


class Launched(NamedTuple):
    """A cluster that was joined or started, MLflow's store, and what the study left behind (None: a dry run)."""

    connection: cluster.Connection
    uri: str
    end: StudyEnd | None


class Start(NamedTuple):
    """When a launch began, as :func:`time.time` tells it, and the seconds until Python had loaded the command."""

    began: float
    loading: float


def launch(args: argparse.Namespace) -> int:
    """Run the launch command."""
    console = Console(stderr=True)
    launched = launch_study(args, console, began=place.program_began())
    if launched.end is not None:
        from study.compare import print_table

        print_table(launched.end.comparison)
        say_where(launched, console)
    return 0


def say_where(launched: Launched, console: Console) -> None:
    """Say where the report and MLflow are found."""
    from study.tracking.uri import ui_command

    if launched.end is None:
        return
    say = partial(console.print, highlight=False, soft_wrap=True)
    for line in launched.end.time:
        say(line)
    say(f"Report: {launched.end.report}")
    say(f"MLflow: {ui_command(launched.uri)}")
    if launched.end.page is not None:
        say(f"Trials beside vanilla: {launched.end.page}")


def launch_study(
    args: argparse.Namespace,
    console: Console,
    variant: Callable[[StudyConfig], StudyConfig] = lambda config: config,
    connection: cluster.Connection | None = None,
    began: float | None = None,
) -> Launched:
    """Run the study of a command line.

    Parameters
    ----------
    args, console
        The command line, and where to write.
    variant
        Changes the study before anything is checked.
    connection
        The cluster, if it was already joined.
    began
        When the launch began, as :func:`time.time` tells it (None: now).

    Raises
    ------
    ConfigurationError
        With every fault that was found.
    StudyStopped
        The study cannot go on.
    """
    entered = time.time()
    began = entered if began is None else began
    overrides, faults = read_overrides(args)
    found = collect(faults, lambda: read_study_file(args.name, args.preset or "laptop", overrides))
    if found is None:
        raise ConfigurationError(faults)
    config, unknown = found
    faults += unknown
    if args.called is not None:
        faults += name_faults(args.called)
    else:
        faults += [*name_faults(config.name, "study"), *taken_name_faults(args.name)]
    begun_with = None
    if args.preset is None and not args.fresh and not faults:
        folder = StudyFolder(Path(args.storage).resolve(), variant(_called(config, args)).name)
        begun_with = collect(faults, lambda: preset_begun_with(folder, args.name))
    if begun_with is not None:
        config, _ = read_study_file(args.name, begun_with, overrides)
    elif args.preset is None and (
        connection is not None or place.cluster_is_named() or place.may_have_gpus()
    ):
        # To look for GPUs takes seconds. What is wrong at any size is told before that.
        faults += field_faults(config, overrides.keys() & rules_of(config).keys()).values()
        if faults:
            raise ConfigurationError(faults)
        cluster.quieten()
        connection = connection or cluster.join_running_cluster()
        gpus = cluster.may_get_gpus(connection)
        if gpus is not False:
            larger, absent = read_study_file(args.name, "cluster", overrides)
            if gpus and not absent:
                config = larger
            elif not absent:
                console.print(_PRESET_UNSURE, highlight=False, soft_wrap=True)
    config = variant(_called(config, args))
    corpus = first_checks(config, args.storage, args.tracking_uri, faults)
    return run(config, corpus, connection, args, console, Start(began, entered - began))


def _called(config: StudyConfig, args: argparse.Namespace) -> StudyConfig:
    """Return a study under the name that its results are kept under."""
    return config if args.called is None else replace(config, name=args.called)


def run(
    given: StudyConfig,
    corpus: Corpus,
    connection: cluster.Connection | None,
    args: argparse.Namespace,
    console: Console,
    start: Start,
) -> Launched:
    """Make the checks that need a model, show the plan, and run it.

    Parameters
    ----------
    given
        The study as requested.
    corpus
        Its texts.
    connection
        The cluster, if it was already joined.
    args, console
        The command line, and where to write.
    start
        The start of the launch.
    """
    loads = time.time()
    # Loading these takes seconds. They are imported here so that faults of the first checks are reported sooner.
    from study.config.masked_lm import without_masked_lm_arms
    from study.config.operators import FACT, announce_left_out, without_unavailable
    from study.config.paper import FACT as PAPER_FACT
    from study.config.paper import with_paper_operator
    from study.record.ledger import Ledger
    from study.run import budget, preflight
    from study.run.alike_strengths import alike_strengths_sentences
    from study.run.checks import checked
    from study.run.detectable import detectable_sentence
    from study.run.estimate import estimate_cost
    from study.run.nodes import check_present_nodes, node_check
    from study.run.numerics import precision_sentence
    from study.run.speed import speed_of_trials, stand_in_sentence
    from study.tracking.uri import tracking_faults, tracking_uri

    libraries = start.loading + time.time() - loads
    cluster.quieten()
    connection = connection or cluster.join_running_cluster()
    folder = StudyFolder(Path(args.storage).resolve(), given.name)
    check_present_nodes(folder, connection, given.encoder)
    known = None if args.fresh else folder.read_facts()
    config, left_out = without_unavailable(given, known)
    config, paper_operator, paper_remark = with_paper_operator(config, known)
    config, headless = without_masked_lm_arms(config)
    asked = read_overrides(args)[0].keys()
    config = budget.with_recorded_sizes(config, known, asked)
    uri = tracking_uri(folder.storage, args.tracking_uri)
    check = partial(
        checked,
        folder=folder,
        corpus=corpus,
        connection=connection,
        resumes=not args.fresh,
        store_faults=tracking_faults(uri),
    )
    texts = check(config)
    if connection is None:
        connection = cluster.count_here() if args.dry_run else cluster.start_here(config)
    resources = cluster.trial_resources(config, connection)
    console.print(connection.sentence, highlight=False)
    if slow := precision_sentence(texts.run.encoder, connection):
        console.print(slow, highlight=False, soft_wrap=True)
    first = texts.prepared.of_replicate(0)
    speed = speed_of_trials(config, first, texts.run, resources, joined=connection.joined)
    if caveat := stand_in_sentence(speed):
        console.print(caveat, highlight=False, soft_wrap=True)
    beside = budget.StartAndEnd(time.time() - start.began, libraries)
    chosen = None
    if config.minutes is not None and known is None:
        chosen = budget.sized(config, asked, first, texts.run, resources, speed, beside, corpus.is_sample)
        config, texts = chosen.config, check(chosen.config, read=texts.read)
        first = texts.prepared.of_replicate(0)
    prepared, of_replicates, run_settings, _ = texts
    remarks = (*corpus.remarks, *prepared.remarks, *paper_remark, *headless)
    print_corpus(corpus, remarks, console)
    estimate = estimate_cost(config, first, run_settings, resources, speed)
    estimate = replace(estimate, beside_seconds=beside.around(speed, estimate))
    if said := budget.deadline_sentence(config, known, asked) if chosen is None else chosen.sentence:
        console.print(said, highlight=False, soft_wrap=True)
    preflight.print_plan(config, first, run_settings, resources, estimate, console)
    ledger = None if args.fresh else Ledger(folder.ledger)
    if can_show := detectable_sentence(config, ledger, estimate.confirmation_seconds):
        console.print(can_show, highlight=False, soft_wrap=True)
    announce_left_out(left_out, console)
    for alike in alike_strengths_sentences(config, first, run_settings):
        console.print(Text(f"Note: {alike}"), soft_wrap=True)
    if args.dry_run:
        return Launched(connection, uri, None)
    from study.command.conduct import CheckedStudy, Times, conduct
    from study.plan.confirmation import planned_looks
    from study.run.cache_size import least_bytes
    from study.run.facts import facts_of, part_facts
    from study.run.tokens import TOKENS, token_facts
    from study.run.tuning import Execution
    from study.verdict.confirmed import FACT as CONFIRMATION
    from study.verdict.confirmed import confirmation_facts
    from study.verdict.study_time import FACT as TIME
    from trainables.model.memory_estimate import shape_of

    say = partial(console.print, highlight=False, soft_wrap=True)
    if args.fresh:
        with folder.locked():
            aside = folder.set_aside()
        if aside is not None:
            say(f"The earlier study lies in {aside}.")
    with folder.locked(), node_check(folder, connection, given.encoder) as check_of_nodes:
        facts = {
            **facts_of(config, corpus, folder, connection, run_settings.encoder, uri, remarks),
            FACT: left_out,
            TOKENS: token_facts(first),
            **part_facts(prepared),
            PAPER_FACT: paper_operator,
            TIME: budget.time_facts(config, known, chosen, estimate.total_seconds, speed, beside),
            STUDY_FILE: file_facts(args.name),
            DISK: least_bytes(shape_of(run_settings.encoder).parameters, resources.concurrency),
            CONFIRMATION: confirmation_facts(planned_looks(config, Ledger(folder.ledger)), config.region),
        }
        replicate_s = estimate.seconds * resources.concurrency / max(1, estimate.replicates)
        execution = Execution(
            resources,
            folder.ray,
            run_settings,
            connection.capacity,
            None if speed.stands_in else replicate_s,
            check_of_nodes,
            config.concurrency,
        )
        times = Times(start.began, estimate.expected, beside.after(estimate), estimate.confirmation_seconds)
        study = CheckedStudy(config, folder, facts, corpus, prepared, of_replicates, execution, times)
        end = conduct(study, console)
    return Launched(connection, uri, end)


def print_corpus(corpus: Corpus, remarks: Sequence[str], console: Console) -> None:
    """Say which corpus is studied, with its notice and remarks; loudly if it is only the generated sample."""
    about = f"Corpus: {corpus.source}: {len(corpus)} rows in {len(set(corpus.groups))} groups"
    console.print(Text(f"{about} ({counts_in_words(corpus.class_counts())})."), soft_wrap=True)
    if corpus.notice:
        label = "[bold reverse] GENERATED SAMPLE [/] " if corpus.is_sample else ""
        console.print(label + escape(corpus.notice), highlight=False, soft_wrap=True)
    for remark in remarks:
        console.print(Text(f"Note: {remark}"), soft_wrap=True)


def run_on_cluster(
    command: Callable[[argparse.Namespace], int],
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None = None,
) -> int:
    """Run a command that launches studies, as :func:`study.command.cli.run_command` does, then leave the cluster."""
    code = STOPPED
    try:
        code = run_command(command, parser, argv)
    finally:
        cluster.leave(code)
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    if not (sys.argv[1:] if argv is None else argv):
        print(listing(), file=sys.stderr)
        return BAD_CONFIGURATION
    return run_on_cluster(launch, build_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
