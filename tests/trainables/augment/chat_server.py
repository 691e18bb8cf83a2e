"""An OpenAI-compatible server on this machine that answers, fails and refuses as a test tells it to."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SYNONYMS = {
    "drug": "medicine",
    "rapidly": "quickly",
    "movie": "film",
    "absorbed": "taken up",
    "house": "home",
}


def rewritten(text):
    words = [SYNONYMS.get(word, word) for word in text.split()]
    return " ".join(words) if words != text.split() else "indeed " + text


def completion(text, **message):
    return json.dumps(
        {"choices": [{"message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}]}
    )


class ChatServer:
    """``behaviours`` are taken in turn, one a request; afterwards every answer is a rewriting.

    A behaviour is a function of the user's text that returns status, headers and body, or seconds to sleep first.
    """

    def __init__(self):
        self.behaviours = []
        self.requests = []
        self.delay = 0.0
        self.under_way = self.most_under_way = 0
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = body["messages"][-1]["content"]
                with lock:
                    outer.requests.append(
                        {"body": body, "path": self.path, "headers": dict(self.headers), "time": time.time()}
                    )
                    behaviour = outer.behaviours.pop(0) if outer.behaviours else None
                    outer.under_way += 1
                    outer.most_under_way = max(outer.most_under_way, outer.under_way)
                time.sleep(outer.delay)
                status, headers, answer = (
                    behaviour(text) if behaviour else (200, {}, completion(rewritten(text)))
                )
                with lock:
                    outer.under_way -= 1
                content = answer.encode()
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def status(code, body="", **headers):
    return lambda text: (code, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def says(text, **message):
    return lambda _: (200, {}, completion(text, **message))


def sleeps(seconds):
    def behaviour(text):
        time.sleep(seconds)
        return 200, {}, completion(rewritten(text))

    return behaviour
