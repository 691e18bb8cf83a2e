"""For all tests: no request leaves this machine, and no cache or state of the user's is read."""

import os
import shutil
import tempfile

import pytest

# Before any import of the project, and for its worker processes too. Nothing listens on the discard port.
os.environ["OPENFDA_URL"] = "http://127.0.0.1:9"
os.environ["XDG_CACHE_HOME"] = os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(
    prefix="imbalance-study-tests-"
)
os.environ.pop("STUDY_OWN_DISK", None)
os.environ.pop("OPENFDA_API_KEY", None)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    """The folder of a tiny encoder."""
    from tests.tiny_encoder import write_tiny_encoder

    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def launched(encoder, tmp_path_factory):
    """The storage of a study that a launch has run to its end, which must stay as it is, and what the launch said."""
    from tests.study.tiny_launch import command, run

    # Characters that addresses, patterns and shells read in a way of their own.
    storage = tmp_path_factory.mktemp("storage") / "what?now 100% a%20b #1 & ü" / ("long " * 30)
    finished = run(command(encoder, storage))
    assert finished.returncode == 0, finished.stderr
    return storage, finished


def pytest_unconfigure():
    shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)
