import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest

from tests.trainables.augment.chat_server import ChatServer, completion, says, sleeps, status
from trainables.augment.cached import cached_stage1_set
from trainables.augment.models.chat_endpoint import ChatEndpoint, EndpointSettings, settings_of
from trainables.augment.models.rate_limit import RateLimit, pace_file
from trainables.augment.operators.paraphrase import Paraphrase
from trainables.augment.registry import make_operator, operator_identity, why_unavailable
from trainables.augment.stage1_set import DrawnRows
from trainables.errors import ConfigurationError, TrialFailed
from trainables.reuse.cache import PAID_ANSWER, ContentCache
from trainables.settings import EncoderSettings, TrialSettings

KEY = "sk-very-secret-key"
TEXT = "The drug was rapidly absorbed, and 12.5 mg of CYP3A4 was not found."


@pytest.fixture
def server():
    running = ChatServer()
    yield running
    running.close()


def endpoint(server, folder, **changes):
    settings = EndpointSettings(
        server.url,
        "toy-model",
        KEY,
        **{"per_minute": 60_000, "first_pause_s": 0.01, "timeout_s": 5, **changes},
    )
    return ChatEndpoint(settings, RateLimit(folder / "pace", settings.per_minute))


def operator(server, folder, strength=0.3, **changes):
    return Paraphrase(endpoint(server, folder, **changes), ContentCache(folder), strength)


def test_a_text_is_rewritten_and_the_strength_is_in_the_prompt(server, tmp_path):
    made = operator(server, tmp_path, strength=0.05).augment_batch([f"  {TEXT}\n"], [7])
    assert made == ["  The medicine was quickly absorbed, and 12.5 mg of CYP3A4 was not found.\n"]
    [request] = server.requests
    assert request["path"] == "/v1/chat/completions"
    assert request["headers"]["Authorization"] == f"Bearer {KEY}"
    assert request["body"]["model"] == "toy-model"
    assert "about 5 %" in request["body"]["messages"][0]["content"]
    assert request["body"]["messages"][1] == {"role": "user", "content": TEXT}


def test_nothing_is_asked_for_twice(server, tmp_path):
    texts = [f"The drug number {i} was rapidly absorbed." for i in range(20)]
    first = operator(server, tmp_path)
    made = first.augment_batch(texts + texts[:5], [*range(20), *range(5)])
    assert made[20:] == made[:5]
    assert len(server.requests) == first.calls == 20
    again = operator(server, tmp_path)
    assert again.augment_batch(texts[::-1], [*range(20)][::-1]) == made[:20][::-1]
    assert len(server.requests) == 20
    assert again.calls == 0


@pytest.mark.parametrize("change", ["seed", "strength", "text", "model", "address"])
def test_whatever_an_answer_depends_on_is_asked_anew(change, server, tmp_path):
    operator(server, tmp_path).augment_batch([TEXT], [0])
    n_asked = len(server.requests)
    other = operator(server, tmp_path, strength=0.5 if change == "strength" else 0.3)
    if change == "model":
        other._endpoint.settings = dataclasses.replace(other._endpoint.settings, model="other")
    if change == "address":
        other._endpoint.settings = dataclasses.replace(
            other._endpoint.settings, url=server.url.replace("127.0.0.1", "localhost")
        )
    other.augment_batch([TEXT + " Yes." if change == "text" else TEXT], [1 if change == "seed" else 0])
    assert len(server.requests) == n_asked + 1


@pytest.mark.parametrize(
    "bad",
    [
        says("The drug was taken up quickly, and CYP3A4 was not found."),
        says("The drug was quickly absorbed, and 12.6 mg of CYP3A4 was not found."),
        says("The drug was quickly absorbed, and 12.5 mL of CYP3A4 was not found."),
        says("The drug was quickly absorbed, and 12.5 mg of CYP3A4 was found."),
        says("I'm sorry, but I can't help with that."),
        says(None, refusal="no"),
        says(""),
        says(TEXT),
        says(TEXT + " In other words, " + TEXT.replace("12.5 mg of CYP3A4", "nothing") * 3),
        lambda text: (200, {}, completion("cut off 12.5 mg CYP3A4 not drug").replace('"stop"', '"length"')),
    ],
)
def test_an_answer_that_is_no_faithful_rewriting_is_asked_for_once_more_then_left(bad, server, tmp_path):
    server.behaviours = [bad]
    once = operator(server, tmp_path / "once")
    assert once.augment_batch([TEXT], [0])[0].startswith("The medicine")
    assert (once.rejected, once.unchanged, once.calls) == (1, 0, 2)
    assert len({request["body"]["seed"] for request in server.requests}) == 2
    server.behaviours = [bad, bad]
    twice = operator(server, tmp_path / "twice")
    assert twice.augment_batch([TEXT], [0]) == [TEXT]
    assert (twice.rejected, twice.unchanged) == (2, 1)
    assert len(server.requests) == 4
    assert operator(server, tmp_path / "twice").augment_batch([TEXT], [0]) == [TEXT]
    assert len(server.requests) == 4  # rejected answers were paid for too


@pytest.mark.parametrize(
    "failure",
    [
        status(500, "broken"),
        status(503),
        status(429),
        status(200, "{not json"),
        status(200, '{"choices": []}'),
        status(200, "[1]"),
        sleeps(1.0),
    ],
)
def test_what_can_pass_is_tried_again(failure, server, tmp_path):
    server.behaviours = [failure, failure]
    made = operator(server, tmp_path, timeout_s=0.3).augment_batch([TEXT], [0])
    assert made[0].startswith("The medicine")
    assert len(server.requests) == 3


def test_what_does_not_pass_fails_the_trial_and_keeps_the_answers(server, tmp_path):
    texts = [f"The drug number {i} was rapidly absorbed." for i in range(3)]
    one = operator(server, tmp_path, at_once=1, attempts=3)
    one.augment_batch(texts[:2], [0, 0])
    server.behaviours = [status(502)] * 3
    with pytest.raises(TrialFailed, match="HTTP 502 on the last of 3 attempts"):
        operator(server, tmp_path, at_once=1, attempts=3).augment_batch(texts, [0, 0, 0])
    n_asked = len(server.requests)
    operator(server, tmp_path).augment_batch(texts, [0, 0, 0])
    assert len(server.requests) == n_asked + 1


def test_a_server_that_is_not_there_fails_the_trial(tmp_path):
    gone = ChatServer()
    gone.close()
    with pytest.raises(TrialFailed, match="ConnectionError"):
        operator(gone, tmp_path, attempts=2).augment_batch([TEXT], [0])


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_kept_by_all(as_date, server, tmp_path):
    wait = 2 if as_date else 0.6
    value = format_datetime(datetime.now(UTC) + timedelta(seconds=wait), usegmt=True) if as_date else "0.6"
    server.behaviours = [status(429, Retry_After=value)]
    texts = [f"The drug number {i} was rapidly absorbed." for i in range(4)]
    operator(server, tmp_path, at_once=1).augment_batch(texts, range(4))
    times = [request["time"] for request in server.requests]
    assert times[1] - times[0] > (0.5 if not as_date else 0.8)
    assert len(times) == 5


def test_the_rate_is_kept_over_operators_that_share_a_folder(server, tmp_path):
    texts = [f"The drug number {i} was rapidly absorbed." for i in range(6)]
    started = time.time()
    for part in (texts[:3], texts[3:]):
        operator(server, tmp_path, per_minute=600).augment_batch(part, range(3))
    times = sorted(request["time"] for request in server.requests)
    assert time.time() - started > 0.45
    assert min(np.diff(times)) > 0.05


def test_requests_under_way_at_once_are_bounded(server, tmp_path):
    server.delay = 0.05
    texts = [f"The drug number {i} was rapidly absorbed." for i in range(12)]
    operator(server, tmp_path, at_once=3).augment_batch(texts, range(12))
    assert server.most_under_way == 3


@pytest.mark.parametrize("code", [301, 400, 401, 403, 404])
def test_a_refused_request_is_a_configuration_fault_that_does_not_show_the_key(
    code, server, tmp_path, caplog
):
    server.behaviours = [status(code, f"wrong key {KEY}", Location="http://127.0.0.1:9/")] * 3
    with caplog.at_level(0), pytest.raises(ConfigurationError, match=f"HTTP {code}") as caught:
        operator(server, tmp_path).augment_batch([TEXT], [0])
    assert len(server.requests) == 1
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert KEY not in shown
    assert "(key)" in shown


def test_the_key_is_in_no_repr_message_log_or_file(server, tmp_path, caplog):
    server.behaviours = [status(500, KEY), sleeps(0.5), status(500, KEY), status(500, KEY)]
    with caplog.at_level(0):
        operator(server, tmp_path).augment_batch([TEXT], [0])
        with pytest.raises(TrialFailed) as caught:
            operator(server, tmp_path, attempts=1, timeout_s=0.1).augment_batch([TEXT], [1])
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text
    shown += repr(endpoint(server, tmp_path).settings) + repr(vars(operator(server, tmp_path)))
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY not in shown
    assert KEY.encode() not in stored


SCRIPT = """
import sys
from pathlib import Path
from trainables.augment.models.chat_endpoint import ChatEndpoint, EndpointSettings
from trainables.augment.operators.paraphrase import Paraphrase
from trainables.augment.models.rate_limit import RateLimit
from trainables.reuse.cache import ContentCache
url, folder = sys.argv[1:]
settings = EndpointSettings(url, "toy-model", per_minute=60_000, at_once=2)
endpoint = ChatEndpoint(settings, RateLimit(Path(folder) / "pace", 60_000))
texts = [f"The drug number {i} was rapidly absorbed." for i in range(40)]
print(Paraphrase(endpoint, ContentCache(Path(folder)), 0.3).augment_batch(texts, range(40)))
"""


def test_a_killed_process_has_paid_for_what_was_under_way_at_most(server, tmp_path):
    server.delay = 0.03
    command = [sys.executable, "-c", SCRIPT, server.url, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.time() + 60
    while len(server.requests) < 10 and time.time() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 10 <= len(server.requests) < 40
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.count("medicine") == 40
    assert 40 <= len(server.requests) <= 40 + 2  # two were under way


@pytest.fixture
def environment(monkeypatch, server, tmp_path_factory):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
    for name in [name for name in os.environ if name.startswith("STUDY_PARAPHRASE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STUDY_PARAPHRASE_URL", server.url + "/")
    monkeypatch.setenv("STUDY_PARAPHRASE_MODEL", "toy-model")
    monkeypatch.setenv("STUDY_PARAPHRASE_KEY", KEY)
    monkeypatch.setenv("STUDY_PARAPHRASE_PER_MINUTE", "60000")
    return monkeypatch


def test_made_by_name_with_the_studys_cache(environment, server, tmp_path):
    assert why_unavailable("paraphrase") is None
    texts = [f"The drug number {i} was rapidly absorbed." for i in range(6)]
    rows = DrawnRows(texts, np.array([0, 0, 0, 0, 1, 1]), 2)

    def stage1_set(copies=1):
        trial = TrialSettings(operator="paraphrase", strength=0.3, copies=copies)
        cache = ContentCache(tmp_path)
        return cached_stage1_set(cache, "c", rows, "augmented_natural", trial, EncoderSettings(), seed=1)

    made = stage1_set()
    assert all("medicine" in text for text in made.texts)
    assert len(server.requests) == 6
    stage1_set()
    stage1_set(copies=2)
    assert len(server.requests) > 6  # second copies, and the tries for copies that came out alike
    n_asked = len(server.requests)
    environment.setenv("STUDY_PARAPHRASE_MODEL", "another")
    stage1_set()
    assert len(server.requests) == n_asked + 6


def test_without_a_studys_cache_answers_have_a_folder_of_their_own(environment, server, tmp_path):
    """A cache bounds all of its folder, and the user's holds corpora as well."""
    environment.setenv("XDG_CACHE_HOME", str(tmp_path))
    corpus = tmp_path / "imbalance-study" / "openfda" / "labels.jsonl.gz"
    corpus.parent.mkdir(parents=True)
    corpus.write_bytes(b"a corpus")
    os.utime(corpus, (0, 0))
    environment.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 0}))
    make_operator("paraphrase", 0.3, EncoderSettings()).augment_batch([TEXT], [0])
    assert corpus.read_bytes() == b"a corpus"
    again = make_operator("paraphrase", 0.3, EncoderSettings())
    again.augment_batch([TEXT], [0])
    assert again._operator.calls == 0 and len(server.requests) == 1


def test_answers_outlive_whatever_else_a_full_cache_holds(server, tmp_path):
    made = operator(server, tmp_path).augment_batch([TEXT], [0])
    cache = ContentCache(tmp_path, max_bytes=10)
    for path in tmp_path.rglob("*"):
        os.utime(path, (0, 0))
    cache.put("stage1", "abc", b"x" * 1000)
    again = Paraphrase(endpoint(server, tmp_path), cache, 0.3)
    assert again.augment_batch([TEXT], [0]) == made and again.calls == 0
    assert cache.hits == {PAID_ANSWER: 1}


def test_the_pace_of_an_endpoint_is_kept_outside_the_cache(environment, server, tmp_path):
    made = make_operator("paraphrase", 0.3, EncoderSettings(), cache=ContentCache(tmp_path))
    made.augment_batch([TEXT], [0])
    assert pace_file(f"127.0.0.1:{server.url.split(':')[-1].split('/')[0]}").is_file()
    assert pace_file("elsewhere") != pace_file("elsewhere:80")
    assert not list(tmp_path.rglob("pace*"))


def test_the_identity_names_host_and_model_and_not_the_key(environment, server):
    identity = operator_identity("paraphrase")
    assert "127.0.0.1" in identity
    assert "toy-model" in identity
    assert KEY not in identity


def test_a_missing_endpoint_is_explained_with_every_fault(environment):
    environment.delenv("STUDY_PARAPHRASE_URL")
    environment.delenv("STUDY_PARAPHRASE_MODEL")
    environment.setenv("STUDY_PARAPHRASE_PER_MINUTE", "fast")
    reason = why_unavailable("paraphrase")
    for name in ("STUDY_PARAPHRASE_URL", "STUDY_PARAPHRASE_MODEL", "STUDY_PARAPHRASE_PER_MINUTE"):
        assert name in reason
    with pytest.raises(ConfigurationError, match="is not set"):
        make_operator("paraphrase", 0.1, EncoderSettings())


@pytest.mark.parametrize(
    "url", ["ftp://x/v1", "host/v1", f"https://user:{KEY}@host/v1", f"https://host/v1?key={KEY}"]
)
def test_an_address_that_cannot_work_or_holds_a_secret_is_refused_without_showing_it(url, environment):
    environment.setenv("STUDY_PARAPHRASE_URL", url)
    with pytest.raises(ConfigurationError) as caught:
        settings_of()
    assert KEY not in str(caught.value)
    assert "STUDY_PARAPHRASE_URL" in str(caught.value)


@pytest.mark.parametrize("text", ["", " ", "12 34.5 67%", "..."])
def test_a_text_without_words_costs_nothing(text, server, tmp_path):
    assert operator(server, tmp_path).augment_batch([text], [0]) == [text]
    assert server.requests == []


def test_odd_texts_can_be_sent(server, tmp_path):
    made = operator(server, tmp_path).augment_batch(["\ud800 the drug 😀", "a\x00b drug"], [0, 1])
    assert [text.count("medicine") for text in made] == [1, 1]


def test_texts_and_seeds_must_be_as_many_and_strength_possible(server, tmp_path):
    with pytest.raises(ValueError):
        operator(server, tmp_path).augment_batch(["a", "b"], [1])
    with pytest.raises(ConfigurationError, match="strength"):
        operator(server, tmp_path, strength=0)
