"""Who is let into a cluster: the token of a Ray that is started here, and whether a running one lets this launch in.

The latter is asked before Ray tries it for minutes: where a cluster demands a token, Ray writes a line a second, then
says that it could not connect.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import sys
from pathlib import Path

from study.run.place import CLUSTER_FILE
from trainables.errors import ConfigurationError

_CONNECT_S = 10.0
_TOKEN_FILE = Path("~/.ray/auth_token")
_MODE = "RAY_AUTH_MODE"
_ASKED = "/ray.rpc.NodeInfoGcsService/GetClusterId"  # answers any client that is let in


OPEN_TO_ALL = (
    "Authentication is off in this cluster: whoever reaches its head runs code there as its user. To switch it on, "
    "start Ray with RAY_AUTH_MODE=token on every node, each with the same ~/.ray/auth_token (ray get-auth-token "
    "--generate)."
)


def check_address(address: str | None) -> bool:
    """Refuse a cluster that does not answer or demands a token that is not here; give Ray the token that is.

    Parameters
    ----------
    address
        What ``RAY_ADDRESS`` says; None for the cluster that ``ray start`` left on this machine.

    Returns
    -------
    bool
        Whether the cluster lets anyone in, see :data:`OPEN_TO_ALL`; False also where that cannot be told.

    Raises
    ------
    ConfigurationError
        Nothing listens at the address, or the cluster demands another token.
    """
    if address is None or address == "auto":
        listens = CLUSTER_FILE.read_text().strip() if CLUSTER_FILE.exists() else ""
    else:
        listens = address
    found = re.fullmatch(r"(?:ray://)?\[?([^/]+?)\]?:(\d+)", listens)
    if found is None:  # a form that Ray will judge
        return False
    try:
        socket.create_connection((found[1], int(found[2])), timeout=_CONNECT_S).close()
    except OSError as error:
        if address is None:
            return False  # the file outlived its cluster
        raise no_cluster(address, error.strerror or error) from error
    if listens.startswith("ray://") or os.environ.get("RAY_USE_TLS", "0") not in ("0", ""):
        return False
    _check_token(listens)
    return _answer(listens, "") is True


def demand_a_token() -> None:
    """Have the Ray that is about to start here demand a token: the user's, or else one that ends with this launch.

    Ray itself would write a new one into the user's home. From then on every head that is started there demands it,
    while workers that join such a head do not send it.
    """
    if os.environ.get(_MODE, "token").lower() != "token":
        return  # the user turned it off
    if not _token()[0]:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    _send_tokens()


def _send_tokens() -> None:
    """Set Ray's mode of authentication, of which a Ray that was loaded before would take no notice."""
    os.environ[_MODE] = "token"
    if "ray" in sys.modules:
        from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

        Config.initialize("")
        AuthenticationTokenLoader.instance().reset_cache()


def no_cluster(address: str, cause: object) -> ConfigurationError:
    """Return the fault of an address where no cluster answers."""
    return ConfigurationError(
        f"RAY_ADDRESS is {address}, but no Ray cluster answers there ({cause}). Start the cluster, or unset "
        "RAY_ADDRESS to run on this machine."
    )


def _check_token(address: str) -> None:
    token, place = _token()
    sends = token if os.environ.get(_MODE, "").lower() == "token" else ""
    if _lets_in(address, sends):
        return
    if token and _MODE not in os.environ and _lets_in(address, token):
        _send_tokens()  # as Ray does for a cluster that it finds by itself
        return
    if not token:
        mine = "none is here"
    elif _lets_in(address, token):
        mine = f"{place} holds it, but {_MODE} is {os.environ[_MODE]!r}"
    else:
        mine = f"the one in {place} is not the cluster's"
    raise ConfigurationError(
        f"The Ray cluster at {address} demands a token, and {mine}. Set RAY_AUTH_MODE=token, and put the cluster's "
        f"token (its head has it in ~/.ray/auth_token) into {_TOKEN_FILE} or RAY_AUTH_TOKEN."
    )


def _token() -> tuple[str, str]:
    """Return the token that Ray would send, and where it stands; empty where there is none."""
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return token, "RAY_AUTH_TOKEN"
    file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or _TOKEN_FILE).expanduser()
    try:
        return file.read_text(encoding="utf-8").strip(), str(file)
    except OSError:
        return "", str(file)


def _lets_in(address: str, token: str) -> bool:
    """Return whether the head answers a call with this token; True where it fails in another way, for Ray to judge."""
    return _answer(address, token) is not False


def _answer(address: str, token: str) -> bool | None:
    """Return whether the head lets in who has this token; None where the call fails in another way."""
    import grpc

    metadata = [("authorization", f"Bearer {token}")] if token else None
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(_ASKED)(b"", timeout=_CONNECT_S, metadata=metadata)
        except grpc.RpcError as error:
            return False if error.code() == grpc.StatusCode.UNAUTHENTICATED else None
    return True
