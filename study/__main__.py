"""``study COMMAND …``: all commands as one program, which the installed package puts on the PATH.

``study adme …`` is short for ``study launch adme …``.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from study.config.study_files import is_path, known_studies
from study.terminal.program import PROGRAM
from trainables.rules import did_you_mean

COMMANDS = {
    "launch": "run a study: baselines, search, confirmation, report",
    "compare": "trials and confirmed arms against vanilla, with intervals",
    "predict": "label new texts with the model that a study left",
    "data": "what a corpus holds",
    "augment": "what augmentation does to a study's texts",
    "settings": "every setting",
    "findings": "a page of a finished study to keep",
    "ladder": "what is left of the paper's gain under a sound protocol",
}
_BAD_CONFIGURATION = 2  # as argparse, and as study.command.cli, which takes longer to load


def listing() -> str:
    """Return what the program can do."""
    lines = [f"  {name:<10}{does}" for name, does in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {PROGRAM} COMMAND …",
            "",
            *lines,
            "",
            f"`{PROGRAM} COMMAND --help` lists a command's options; `{PROGRAM} NAME …` is short for `{PROGRAM} launch "
            "NAME …`.",
            f"The studies are: {', '.join(known_studies())}.",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the first word names."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words:
        print(listing(), file=sys.stderr)
        return _BAD_CONFIGURATION
    first = words[0]
    if first in ("-h", "--help"):
        print(listing())
        return 0
    command, rest = (first, words[1:]) if first in COMMANDS else ("launch", words)
    if command != first and first not in known_studies() and not is_path(first):
        near = did_you_mean(first, [*COMMANDS, *known_studies()])
        print(f"{PROGRAM}: there is no command and no study {first!r}.{near}\n\n{listing()}", file=sys.stderr)
        return _BAD_CONFIGURATION
    code: int = importlib.import_module(f"study.{command}").main(rest)
    return code


if __name__ == "__main__":
    sys.exit(main())
