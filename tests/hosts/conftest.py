"""Three hosts with a cluster on them, for each of the test files here."""

from __future__ import annotations

import socket

import pytest

from tests.hosts.hosts import Hosts, run
from tests.tiny_encoder import write_tiny_encoder

BUSY = "timed out during startup"


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """Three hosts with a cluster on them."""
    made = Hosts(tmp_path_factory.mktemp("hosts"))
    write_tiny_encoder(made.shared / "encoder")
    made.end()  # what an earlier run left, if it was killed
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def port():
    """A port that nothing listens at: it is forwarded under the same number."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


@pytest.fixture(scope="module")
def cluster(hosts, port):
    """The cluster's file, after `ray up` and once both workers are there."""
    file = str(hosts.write_cluster(port))
    run(hosts.ray("get-auth-token", "--generate"))
    start = hosts.ray("up", "--yes", "--no-config-cache", file)
    for _ in range(2):  # Ray gives a node that starts half a minute, also where machines share two processors
        if BUSY not in run(start, codes=(0, 1)):
            break
    else:
        run(start)
    hosts.wait_for_nodes()
    return file
