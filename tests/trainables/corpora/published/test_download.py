import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from trainables.corpora.published import trec
from trainables.corpora.published.download import fetch
from trainables.errors import ConfigurationError
from trainables.user_cache import cache_folder

CONTENT = b"NUM:dist How far is it ?\nHUM:ind Who was it ?\n" * 50


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve CONTENT at /file, half of it at /cut, the handler's content at /served; count the requests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    class Handler(BaseHTTPRequestHandler):
        requests, content = 0, CONTENT

        def do_GET(self):
            Handler.requests += 1
            if self.path not in ("/file", "/cut", "/served"):
                self.send_error(404)
                return
            whole = Handler.content if self.path == "/served" else CONTENT
            self.send_response(200)
            self.send_header("Content-Length", str(len(whole)))
            self.end_headers()
            self.wfile.write(whole[: len(whole) // 2] if self.path == "/cut" else whole)

        def log_message(self, *args):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    Handler.url = f"http://127.0.0.1:{running.server_port}"
    yield Handler
    running.shutdown()
    running.server_close()


DIGEST = hashlib.sha256(CONTENT).hexdigest()


def files_in_cache():
    return [path for path in cache_folder().rglob("*") if path.is_file()]


def test_a_file_is_fetched_once(server):
    first = fetch(f"{server.url}/file", DIGEST)
    assert first.read_bytes() == CONTENT and fetch(f"{server.url}/file", DIGEST) == first
    assert server.requests == 1 and files_in_cache() == [first]


def test_a_damaged_copy_is_fetched_again(server):
    path = fetch(f"{server.url}/file", DIGEST)
    path.write_bytes(CONTENT[:-1])
    assert fetch(f"{server.url}/file", DIGEST).read_bytes() == CONTENT and server.requests == 2


@pytest.mark.parametrize(
    ("where", "digest", "message"),
    [
        ("file", "0" * 64, "expected 0000"),
        ("cut", DIGEST, "/cut"),
        ("gone", DIGEST, "cannot be downloaded.*--data"),
    ],
)
def test_nothing_half_or_wrong_is_kept(server, where, digest, message):
    with pytest.raises(ConfigurationError, match=message):
        fetch(f"{server.url}/{where}", digest)
    assert files_in_cache() == []


def test_a_corpus_without_data_is_downloaded(server, monkeypatch):
    monkeypatch.setattr(trec, "_FILES", {"file": "train"})
    monkeypatch.setattr(trec, "PUBLISHED", ((f"{server.url}/file", DIGEST),))
    with pytest.raises(ConfigurationError, match="the published TREC questions: expected the files"):
        trec.read_trec(None)
    assert server.requests == 1


def test_no_network_is_a_configuration_fault(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match="cannot be downloaded"):
        fetch("http://127.0.0.1:9/file", DIGEST)
