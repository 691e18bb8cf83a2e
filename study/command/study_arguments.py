"""Options of every command that looks at a study that was run."""

from __future__ import annotations

import argparse
from pathlib import Path

from study.config.study_files import study_name
from study.record.folder import default_storage


def add_study_arguments(command: argparse.ArgumentParser) -> None:
    """Add the study's name, and the folder in which it is looked for."""
    command.add_argument(
        "name",
        type=study_name,
        metavar="NAME",
        help="the study, by the name of its folder or, for one of your own, the path of its file",
    )
    command.add_argument(
        "--storage",
        type=lambda text: Path(text).expanduser(),
        metavar="DIR",
        default=default_storage(),
        help="folder that holds the studies (default: %(default)s, or the variable STUDY_STORAGE)",
    )
