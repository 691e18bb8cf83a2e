import argparse

import pytest

from study.command.cli import run_command
from trainables.errors import ConfigurationError, StudyStopped


def run(error):
    def command(args):
        if error is not None:
            raise error
        return 0

    return run_command(command, argparse.ArgumentParser(prog="a command"), [])


@pytest.mark.parametrize(
    ("error", "code"),
    [(None, 0), (ConfigurationError("x"), 2), (StudyStopped("x"), 1), (KeyboardInterrupt(), 130)],
)
def test_exit_codes(error, code):
    assert run(error) == code


def test_every_fault_is_printed_as_it_is_on_standard_error(capsys):
    run(ConfigurationError(["first [fault] " + "long " * 60, "second fault"]))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "2 faults" in printed.err and "first [fault]" in printed.err and "\n\nsecond fault" in printed.err
    assert "long " * 59 in printed.err


def test_a_defect_is_not_dressed_up():
    with pytest.raises(ZeroDivisionError):
        run(ZeroDivisionError())
