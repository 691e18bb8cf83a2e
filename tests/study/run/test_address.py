"""A cluster that demands a token, or that is none: told in one message, before Ray tries for minutes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
import ray

from study.run import address, cluster
from study.run.address import check_address, demand_a_token
from trainables.errors import ConfigurationError


@contextmanager
def served(answer):
    """The address of a head that answers so."""
    handler = grpc.method_handlers_generic_handler(
        "ray.rpc.NodeInfoGcsService", {"GetClusterId": grpc.unary_unary_rpc_method_handler(answer)}
    )
    server = grpc.server(ThreadPoolExecutor(1), handlers=[handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


@pytest.fixture
def head():
    """The address of a head that lets in who knows the token ``secret``, as Ray's does."""

    def answer(request, context):
        if dict(context.invocation_metadata()).get("authorization") != "Bearer secret":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")
        return b""

    with served(answer) as address:
        yield address


@pytest.fixture(autouse=True)
def no_token(monkeypatch, tmp_path):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_USE_TLS"):
        # Set first, so that what the code under test sets is undone too.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "auth_token"))


def refused(head, *said):
    with pytest.raises(ConfigurationError) as fault:
        check_address(head)
    assert len(fault.value.faults) == 1
    for part in (head, "demands a token", "Set RAY_AUTH_MODE=token", *said):
        assert part in str(fault.value)


def test_a_token_that_is_missing_wrong_or_not_sent_is_told(head, monkeypatch, tmp_path):
    refused(head, "none is here")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    (tmp_path / "auth_token").write_text("secret\n")
    refused(head, "RAY_AUTH_MODE is 'disabled'", str(tmp_path / "auth_token"))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "stale")
    refused(head, "the one in RAY_AUTH_TOKEN is not the cluster's")


def test_the_cluster_s_own_token_is_sent_unasked(head, monkeypatch, tmp_path):
    (tmp_path / "auth_token").write_text("secret\n")
    assert check_address(head) is False
    assert address.os.environ["RAY_AUTH_MODE"] == "token"
    assert check_address(head) is False


@pytest.mark.parametrize("sends", [True, False])
def test_a_cluster_that_lets_anyone_in_is_told_apart(monkeypatch, sends):
    if sends:
        monkeypatch.setenv("RAY_AUTH_MODE", "token")
        monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    with served(lambda request, context: b"") as everyones:
        assert check_address(everyones) is True

    def fails(request, context):
        context.abort(grpc.StatusCode.UNAVAILABLE, "later")

    with served(fails) as unknown:
        assert check_address(unknown) is False, "nothing is claimed of a head that does not answer"


def test_who_joins_a_cluster_that_lets_anyone_in_is_warned(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.5:6379")
    for name, found in (("joined_capacity", None), ("alive", [1])):
        monkeypatch.setattr(cluster, name, lambda found=found: found)
    monkeypatch.setattr(ray, "init", lambda **options: None)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 4.0})
    monkeypatch.setattr(cluster.ray_watch, "outlive_the_head", lambda: None)
    monkeypatch.setattr(ray._private.worker, "_worker_logs_enabled", True)
    for is_open in (True, False):
        monkeypatch.setattr(cluster, "check_address", lambda address, found=is_open: found)
        joined, *warned = cluster.join_running_cluster().sentence.splitlines()
        assert joined.startswith("Joined the running Ray cluster")
        assert len(warned) == is_open
        assert not is_open or ("Authentication is off" in warned[0] and "RAY_AUTH_MODE=token" in warned[0])


def test_the_cluster_that_this_machine_started_is_asked_too(head, monkeypatch, tmp_path):
    left = tmp_path / "ray_current_cluster"
    left.write_text(head)
    monkeypatch.setattr(address, "CLUSTER_FILE", left)
    with pytest.raises(ConfigurationError, match="demands a token"):
        check_address(None)


def test_nothing_at_an_address_is_told_and_a_file_that_outlived_its_cluster_is_not(monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        nowhere = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(ConfigurationError, match="no Ray cluster answers there"):
        check_address(nowhere)
    left = tmp_path / "ray_current_cluster"
    left.write_text(nowhere)
    monkeypatch.setattr(address, "CLUSTER_FILE", left)
    check_address(None)


def test_a_ray_started_here_demands_the_users_token_or_one_of_its_own(monkeypatch, tmp_path):
    demand_a_token()
    own = os.environ["RAY_AUTH_TOKEN"]
    assert os.environ["RAY_AUTH_MODE"] == "token" and len(own) >= 32
    assert not (tmp_path / "auth_token").exists()
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    demand_a_token()
    assert os.environ["RAY_AUTH_TOKEN"] != own
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    (tmp_path / "auth_token").write_text("the user's")
    demand_a_token()
    assert "RAY_AUTH_TOKEN" not in os.environ


def test_a_user_who_turned_tokens_off_keeps_them_off(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    demand_a_token()
    assert os.environ["RAY_AUTH_MODE"] == "disabled" and "RAY_AUTH_TOKEN" not in os.environ


_LAUNCHED = """
import os
from study.config.study import StudyConfig
from study.run import address, cluster
cluster.quieten()
cluster.start_here(StudyConfig(name="tokens", preset="smoke", corpus="none"))
import ray
assert ray.get(ray.remote(lambda: 1).remote()) == 1
head, token = ray.get_runtime_context().gcs_address, os.environ["RAY_AUTH_TOKEN"]
print(address._lets_in(head, token), address._lets_in(head, ""), address._lets_in(head, "another"))
ray.shutdown()
"""


@pytest.mark.slow
def test_a_local_launch_is_closed_to_others_and_leaves_no_token_behind(tmp_path):
    """A token in the user's home would make the next ``ray start --head`` demand it of workers that lack it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment["HOME"] = str(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-c", _LAUNCHED],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.stdout.split() == ["True", "False", "False"], ended.stderr
    assert not [*tmp_path.rglob("auth_token")]
