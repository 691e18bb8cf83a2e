"""A server on this machine that behaves like openFDA's drug/label endpoint, faults included."""

import base64
import contextlib
import json
import threading
from collections import deque
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

MAX_SKIP = 25_000


class FakeOpenfda:
    """Serves two lists of labels: those with pharmacokinetics, and those with the chapter alone.

    Attributes
    ----------
    faults
        Names of methods ``fault_…`` that answer the next requests instead, in order.
    requests
        The query of every request as a dict, in order.
    key
        When set, requests without it as the user of basic authentication are refused.
    """

    def __init__(self, with_section, chapter_alone=()):
        self.lists = {False: list(with_section), True: list(chapter_alone)}
        self.faults = deque()
        self.requests = []
        self.key = None
        self.last_updated = "2024-05-01"
        self.total_offset = 0

    def url_of(self, server):
        return f"http://127.0.0.1:{server.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        fake = self.server.fake
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        fake.requests.append(query)
        if fake.faults:
            fault = fake.faults.popleft()
            if fault is not None:
                getattr(self, f"fault_{fault}")()
                return
        self.answer(fake, url, query)

    def answer(self, fake, url, query):
        limit = int(query.get("limit", 1))
        if url.path != "/drug/label.json":
            self.error(404, "NOT_FOUND", "No route matches.")
        elif fake.key is not None and self.user() != fake.key:
            self.error(403, "API_KEY_INVALID", "An invalid api_key was supplied.")
        elif limit > 1000 or int(query.get("skip", 0)) > MAX_SKIP:
            self.error(400, "BAD_REQUEST", "Limit cannot exceed 1000 results, skip 25000.")
        else:
            self.page(fake, query, limit)

    def page(self, fake, query, limit):
        labels = fake.lists["NOT" in query.get("search", "")]
        if query.get("sort") == "openfda.spl_set_id.exact:asc":
            labels = sorted(labels, key=lambda label: label["set_id"])
        start = int(query["search_after"].removeprefix("0=")) if "search_after" in query else 0
        part = labels[start : start + limit]
        if not part:
            self.error(404, "NOT_FOUND", "No matches found!")
            return
        total = len(labels) + fake.total_offset
        meta = {
            "disclaimer": "Made up.",
            "last_updated": fake.last_updated,
            "results": {"skip": 0, "limit": limit, "total": total},
        }
        headers = {}
        if start + limit < len(labels):
            following = urlencode({**query, "skip": 0, "search_after": f"0={start + limit}"})
            headers["Link"] = f'<{fake.url_of(self.server)}/drug/label.json?{following}>; rel="next"'
        self.send(200, json.dumps({"meta": meta, "results": part}).encode(), headers)

    def user(self):
        value = self.headers.get("Authorization", "")
        return base64.b64decode(value.removeprefix("Basic ")).decode().partition(":")[0] if value else None

    def error(self, status, code, message, headers=None):
        body = json.dumps({"error": {"code": code, "message": message}}).encode()
        self.send(status, body, headers or {})

    def send(self, status, body, headers, *, length=None):
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def fault_too_many(self):
        self.error(429, "OVER_RATE_LIMIT", "You have exceeded your rate limit.", {"Retry-After": "7"})

    def fault_too_many_until_a_date(self):
        until = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
        self.error(429, "OVER_RATE_LIMIT", "You have exceeded your rate limit.", {"Retry-After": until})

    def fault_too_many_at_the_moment(self):
        self.error(429, "OVER_RATE_LIMIT", "You have exceeded your rate limit.", {"Retry-After": "soon"})

    def fault_daily_limit(self):
        self.error(429, "OVER_RATE_LIMIT", "You have exceeded your daily limit.", {"Retry-After": "40000"})

    def fault_server_error(self):
        self.error(500, "SERVER_ERROR", "Check your request and try again")

    def fault_cut(self):
        self.send(200, b'{"meta": {', {}, length=5000)
        self.close_connection = True

    def fault_refused(self):
        self.close_connection = True
        self.connection.close()

    def fault_truncated_json(self):
        self.send(200, b'{"meta": {"last_updated": "2024-05-01"}, "results": [{"set_id": "a"', {})

    def fault_html(self):
        self.send(200, b"<html>Please sign in to this network.</html>", {})

    def fault_no_results(self):
        self.send(200, b'{"meta": {}, "hits": []}', {})

    def fault_elsewhere(self):
        meta = {"last_updated": "2024-05-01", "results": {"total": 9}}
        self.send(
            200,
            json.dumps({"meta": meta, "results": [{"set_id": "a"}]}).encode(),
            {"Link": '<http://127.0.0.2:9/drug/label.json?search_after=0=1>; rel="next"'},
        )

    def fault_hang(self):
        self.server.released.wait(20)
        self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that go away are part of the tests


@contextlib.contextmanager
def serving(fake):
    """Run the server; yields its address."""
    server = _Server(("127.0.0.1", 0), Handler)
    server.fake = fake
    server.released = threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake.url_of(server)
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
