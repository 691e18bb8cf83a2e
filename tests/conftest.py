"""For all tests: no request leaves this machine, and no cache or state of the user's is read."""

import os
import shutil
import tempfile

# Before any import of the project, and for its worker processes too. Nothing listens on the discard port.
os.environ["OPENFDA_URL"] = "http://127.0.0.1:9"
os.environ["XDG_CACHE_HOME"] = os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(
    prefix="imbalance-study-tests-"
)
os.environ.pop("STUDY_OWN_DISK", None)
os.environ.pop("OPENFDA_API_KEY", None)


def pytest_unconfigure():
    shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)
