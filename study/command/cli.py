"""What every command does: parse, run, and turn the project's errors into messages and exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from study.run.signals import ENDING_SIGNALS
from study.terminal.streams import BROKEN_PIPE, OutputLost, drop_output, take_any_output
from trainables.errors import ConfigurationError, StudyStopped

DONE = 0
STOPPED = 1
BAD_CONFIGURATION = 2  # argparse uses the same code


def run_command(
    main: Callable[[argparse.Namespace], int],
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None = None,
) -> int:
    """Run a command and return its exit code; messages go to standard error.

    Parameters
    ----------
    main
        The command; returns an exit code.
    parser
        Its options.
    argv
        The command line without the program's name; None takes that of this process.

    Returns
    -------
    int
        What ``main`` returns, 2 for a configuration fault, 1 for a stopped study or a result that could not be
        written, 141 where the reader of the result left; 130, 143 or 129 after SIGINT (Ctrl-C), SIGTERM or SIGHUP.
    """
    take_any_output()
    try:
        try:
            code = _run(main, parser, argv)
        except SystemExit:  # after --help
            sys.stdout.flush()
            raise
        sys.stdout.flush()  # while a failure can still be told
        return code
    except OutputLost as lost:
        drop_output()
        if lost.reader_left:
            return BROKEN_PIPE
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(f"{parser.prog}: {lost}")
        return STOPPED


def _run(
    main: Callable[[argparse.Namespace], int], parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> int:
    args = parser.parse_args(argv)
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        _check_the_folder_of_the_shell()
        with ENDING_SIGNALS:
            return main(args)
    except ConfigurationError as error:
        several = f"{len(error.faults)} faults" if len(error.faults) > 1 else "a fault"
        console.print(f"{parser.prog}: {several} in the configuration, nothing was started", style="bold red")
        for fault in error.faults:
            console.print(f"\n{fault}")
        return BAD_CONFIGURATION
    except StudyStopped as error:
        console.print(f"{parser.prog}: stopped", style="bold red")
        console.print(f"\n{error}")
        return STOPPED
    except KeyboardInterrupt:
        # One that went through code compiled from text, as in modules that were loading dataclasses, is noted by
        # `python -m`, which then ends by SIGINT instead of with the exit code. The next such code clears the note.
        exec("")
        console.print(f"\n{parser.prog}: {ENDING_SIGNALS.name}", style="bold red")
        return ENDING_SIGNALS.exit_code


def _check_the_folder_of_the_shell() -> None:
    """Refuse to start in a folder that was deleted under the shell: no relative path leads anywhere from there."""
    try:
        Path.cwd()
    except OSError as error:
        raise ConfigurationError(
            f"The folder in which this command was given cannot be used ({error.strerror}): it may have been deleted "
            "or unmounted. Change to another folder (`cd`) and give the command again."
        ) from error
