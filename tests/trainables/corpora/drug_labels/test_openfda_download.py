import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from tests.trainables.corpora.drug_labels.openfda_labels import EVERYTHING, many, set_ids
from trainables.corpora.drug_labels import openfda_api, openfda_download
from trainables.corpora.drug_labels.openfda_api import OpenfdaApi, is_reachable
from trainables.corpora.drug_labels.openfda_download import (
    PAGE_SIZE,
    cached_labels,
    download_labels,
    slim,
)
from trainables.corpora.drug_labels.openfda_queries import ALL
from trainables.corpora.drug_labels.records import read_records
from trainables.corpora.registry import read_corpus
from trainables.errors import ConfigurationError, StudyStopped

REPOSITORY = Path(__file__).parents[4]


def test_pages_follow_the_cursor_and_make_one_file(download, fake, tmp_path):
    got = download()
    assert set_ids(got.path) == EVERYTHING
    assert (got.labels, got.last_updated) == (28, "2024-05-01")
    assert [query["search"] for query in fake.requests] == [ALL.searches[0]] * 6 + [ALL.searches[1]] * 2
    assert not any(int(query.get("skip", 0)) for query in fake.requests)
    assert sorted(path.name for path in got.path.parent.iterdir()) == [
        ".lock",
        "labels.jsonl.gz",
        "manifest.json",
    ]
    assert cached_labels(tmp_path / "cache") == got


def test_records_are_slimmed_to_what_the_corpus_needs(download):
    records = [record for _, record in read_records(download().path)]
    assert set(records[0]) == {"id", "set_id", "version", "effective_time", "openfda", "pharmacokinetics"}
    both = slim({"pharmacokinetics": ["a"], "clinical_pharmacology": ["b"], "openfda": {"route": ["ORAL"]}})
    assert both == {"pharmacokinetics": ["a"], "openfda": {}}


@pytest.mark.parametrize(
    "fault", ["too_many", "server_error", "cut", "refused", "truncated_json", "html", "no_results"]
)
@pytest.mark.parametrize("at", [0, 3, 7])
def test_passing_faults_are_retried_and_lose_nothing(download, fake, waits, fault, at):
    fake.faults.extend([None] * at + [fault, fault])
    assert set_ids(download().path) == EVERYTHING
    assert len(waits) == 2 and waits[1] >= waits[0] >= 1
    if fault == "too_many":
        assert waits == [7, 7]  # what Retry-After says
    assert len(fake.requests) == 10


@pytest.mark.parametrize(
    ("fault", "least", "most"), [("too_many_until_a_date", 50, 60), ("too_many_at_the_moment", 1, 1.25)]
)
def test_a_wait_may_be_given_as_a_date_and_is_ours_where_it_says_nothing(
    download, fake, waits, fault, least, most
):
    fake.faults.append(fault)
    assert set_ids(download().path) == EVERYTHING
    assert least <= waits[0] <= most and len(waits) == 1


@pytest.mark.parametrize("fault", ["server_error", "cut", "html"])
def test_lasting_faults_stop_and_the_next_run_goes_on(download, fake, waits, fault):
    fake.faults.extend([None] * 4 + [fault] * openfda_api.ATTEMPTS)
    with pytest.raises(StudyStopped, match="same command again"):
        download()
    assert len(waits) == openfda_api.ATTEMPTS - 1 and waits == sorted(waits)
    before = len(fake.requests)
    assert set_ids(download().path) == EVERYTHING
    assert len(fake.requests) - before == 4  # of eight pages, four were there
    assert fake.requests[before]["search_after"] == "0=16"


def test_a_daily_limit_stops_at_once(download, fake, waits):
    fake.faults.append("daily_limit")
    with pytest.raises(StudyStopped, match="daily limit"):
        download()
    assert waits == [] and len(fake.requests) == 1


def test_the_key_is_sent_and_a_wrong_one_is_explained(download, fake):
    fake.key = "secret"
    with pytest.raises(ConfigurationError, match=r"API_KEY_INVALID.*OPENFDA_API_KEY"):
        download(key="wrong")
    assert set_ids(download(key="secret").path) == EVERYTHING
    assert "secret" not in json.dumps(fake.requests)


def test_a_damaged_page_starts_over(download, fake, tmp_path):
    fake.faults.extend([None] * 4 + ["server_error"] * openfda_api.ATTEMPTS)
    with pytest.raises(StudyStopped):
        download()
    page = next((tmp_path / "cache").glob("page-000001*"))
    page.write_bytes(page.read_bytes()[:-3])
    before = len(fake.requests)
    assert set_ids(download().path) == EVERYTHING
    assert len(fake.requests) - before == 8


def test_a_damaged_copy_does_not_count(download, tmp_path):
    got = download()
    content = bytearray(got.path.read_bytes())
    content[len(content) // 2] ^= 1
    got.path.write_bytes(content)
    assert cached_labels(tmp_path / "cache") is None
    assert set_ids(download().path) == EVERYTHING
    (tmp_path / "cache" / "manifest.json").write_text("{}")
    assert cached_labels(tmp_path / "cache") is None


def test_data_of_two_dates_are_not_mixed(download, fake):
    fake.faults.extend([None] * 4 + ["server_error"] * openfda_api.ATTEMPTS)
    with pytest.raises(StudyStopped):
        download()
    fake.last_updated = "2024-06-01"
    got = download()
    assert got.last_updated == "2024-06-01" and set_ids(got.path) == EVERYTHING


def test_a_list_that_ends_early_is_no_complete_copy(download, fake, tmp_path):
    fake.total_offset = 2
    with pytest.raises(StudyStopped, match="ended before its 25 labels"):
        download()
    assert cached_labels(tmp_path / "cache") is None
    fake.total_offset = 0
    assert set_ids(download().path) == EVERYTHING


def test_the_cursor_never_leads_to_another_server(download, fake):
    fake.faults.append("elsewhere")
    with pytest.raises(ConfigurationError, match="another server"):
        download()


def test_no_label_at_all(download, fake):
    fake.lists = {False: [], True: []}
    with pytest.raises(ConfigurationError, match="no label that matches"):
        download()


def test_requests_keep_the_pace(url):
    api = OpenfdaApi(url, requests_per_minute=600)
    started = time.monotonic()
    for _ in range(4):
        api.page(api.first_address(ALL.searches[0], 1))
    assert time.monotonic() - started >= 0.3


def test_two_downloads_at_once_are_refused(download, tmp_path):
    (tmp_path / "cache").mkdir()
    with openfda_download._only_one(tmp_path / "cache"), pytest.raises(StudyStopped, match="another process"):
        download()


def environment(tmp_path, url):
    return {**os.environ, "OPENFDA_URL": url, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}


def test_a_killed_download_goes_on(fake, url, tmp_path):
    fake.lists[False] = many(12 * PAGE_SIZE)
    fake.faults.extend([None] * 6 + ["hang"])
    code = "from trainables.corpora.drug_labels.openfda_download import download_labels; download_labels()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment(tmp_path, url), stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while len(fake.requests) < 7 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    (folder,) = (tmp_path / "imbalance-study").iterdir()
    assert cached_labels(folder) is None and len(list(folder.glob("page-*"))) == 6
    api = OpenfdaApi(url, requests_per_minute=1e9)
    got = download_labels(folder, api=api, console=Console(file=io.StringIO()))
    assert len(set_ids(got.path)) == len(set(set_ids(got.path))) == 12 * PAGE_SIZE + 5
    assert len(fake.requests) == 7 + 6 + 1


class TestAdme:
    @pytest.fixture(autouse=True)
    def cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def test_the_default_downloads_a_part_once_and_then_needs_no_network(self, fake, url, monkeypatch):
        monkeypatch.setenv("OPENFDA_URL", url)
        fake.lists[False] = many(1100)
        corpus = read_corpus("adme", None)
        assert corpus.source == (
            "openFDA drug labels of 2024-05-01 (the first 1000 of 1100 labels by identity)"
        )
        assert corpus.class_counts()["absorption"] == 1000 and not corpus.is_sample
        asked = len(fake.requests)
        assert asked == 11  # one of them asks whether anybody is there
        assert read_corpus("adme", "openfda").digest == read_corpus("adme", None).digest == corpus.digest
        assert read_corpus("adme", None, labels="part").digest == corpus.digest
        assert len(fake.requests) == asked

    def test_all_labels_are_another_copy_and_leave_a_study_of_a_part_as_it_was(self, fake, url, monkeypatch):
        monkeypatch.setenv("OPENFDA_URL", url)
        part = read_corpus("adme", None)
        everything = read_corpus("adme", None, labels="all")
        assert everything.source == "openFDA drug labels of 2024-05-01 (28 labels)"
        assert (part.class_counts()["absorption"], everything.class_counts()["absorption"]) == (23, 28)
        asked = len(fake.requests)
        assert read_corpus("adme", None).digest == part.digest
        assert read_corpus("adme", None, labels="all").digest == everything.digest
        assert len(fake.requests) == asked

    def test_the_default_takes_all_labels_where_they_are_what_the_cache_has(self, fake, url, monkeypatch):
        monkeypatch.setenv("OPENFDA_URL", url)
        everything = read_corpus("adme", None, labels="all")
        asked = len(fake.requests)
        assert read_corpus("adme", None).digest == everything.digest and len(fake.requests) == asked

    def test_unknown_labels_are_refused_before_anything_is_asked(self, fake, url, monkeypatch):
        monkeypatch.setenv("OPENFDA_URL", url)
        with pytest.raises(ConfigurationError, match="labels is 'al': one of part, all was expected"):
            read_corpus("adme", None, labels="al")
        assert not fake.requests

    def test_without_a_network_the_default_is_the_sample_and_openfda_an_error(self, capsys):
        assert read_corpus("adme", None).is_sample and read_corpus("adme", "sample").is_sample
        assert "generated sample" in capsys.readouterr().err
        with pytest.raises(ConfigurationError, match="does not answer"):
            read_corpus("adme", "openfda")

    def test_a_hanging_server_is_given_up_within_seconds(self, fake, url):
        fake.faults.append("hang")
        started = time.monotonic()
        assert not is_reachable(url, 0.5)
        assert time.monotonic() - started < 1.5

    def test_a_hanging_look_up_of_the_name_is_given_up_within_seconds(self, monkeypatch):
        def hang(*args, **options):
            time.sleep(1.5)
            raise socket.gaierror("no such name")

        monkeypatch.setattr(socket, "getaddrinfo", hang)
        started = time.monotonic()
        assert not is_reachable("http://api.invalid", 0.3)
        assert time.monotonic() - started < 1.2
        time.sleep(1.5)  # the look-up ends before the next test

    @pytest.mark.parametrize("fault", ["html", "server_error", "refused", "truncated_json"])
    def test_a_server_that_is_not_openfda_is_no_network(self, fake, url, fault):
        fake.faults.append(fault)
        assert not is_reachable(url)
        assert is_reachable(url)
