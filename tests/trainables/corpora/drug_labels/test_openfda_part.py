"""A part of openFDA's labels: which they are, and when it ends."""

import dataclasses
import io
import json

import pytest

from tests.trainables.corpora.drug_labels.openfda_labels import EVERYTHING, set_ids
from trainables.corpora.drug_labels import openfda_api, openfda_download
from trainables.corpora.drug_labels.openfda_download import cached_labels
from trainables.corpora.drug_labels.openfda_queries import PART
from trainables.errors import StudyStopped

FEW = dataclasses.replace(PART, most=10)
FIRST = sorted(EVERYTHING[:23])[:10]


def test_a_part_is_the_first_labels_by_identity_and_asks_for_no_more_pages(download, fake, tmp_path):
    said = io.StringIO()
    got = download(query=FEW, said=said)
    assert set_ids(got.path) == FIRST and (got.labels, got.found) == (10, 23)
    assert [query["search"] for query in fake.requests] == list(PART.searches) * 3
    assert {query["sort"] for query in fake.requests} == {PART.order}
    assert cached_labels(tmp_path / "cache", query=FEW) == got
    manifest = json.loads((tmp_path / "cache" / "manifest.json").read_text())
    assert (manifest["order"], manifest["most"], manifest["found"]) == (PART.order, 10, 23)
    assert manifest["received_bytes"] > 3000
    assert "the first 10 drug labels by identity" in said.getvalue() and "--labels all" in said.getvalue()
    assert "10 of 23 labels of 2024-05-01" in said.getvalue() and "kB" in said.getvalue()


def test_the_same_part_comes_whatever_order_the_server_keeps_its_labels_in(download, fake, tmp_path):
    first = download(query=FEW).path.read_bytes()
    fake.lists[False].reverse()
    for file in (tmp_path / "cache").iterdir():
        file.unlink()
    assert download(query=FEW).path.read_bytes() == first


def test_a_part_of_more_labels_than_there_are_is_all_of_them(download):
    got = download(query=dataclasses.replace(PART, most=1000))
    assert set_ids(got.path) == sorted(EVERYTHING[:23]) and got.labels == got.found == 23


def test_a_part_ends_with_the_page_that_reaches_its_bytes(download, fake):
    got = download(query=dataclasses.replace(FEW, most_bytes=1))
    assert set_ids(got.path) == FIRST[:4] and (got.labels, got.found, len(fake.requests)) == (4, 23, 1)


class Slow:
    """Time as it goes where every page takes a minute."""

    def __init__(self, fake):
        self.fake = fake

    def monotonic(self):
        return 60.0 * len(self.fake.requests)


@pytest.mark.parametrize(
    ("least", "labels", "seconds"), [(1, 8, 120), (8, 8, 120), (12, 12, 180), (100, 23, None)]
)
def test_a_slow_part_ends_after_its_time_if_there_are_labels_enough(
    download, fake, monkeypatch, tmp_path, least, labels, seconds
):
    for module in (openfda_download, openfda_api):
        monkeypatch.setattr(module, "time", Slow(fake))
    slow, said = dataclasses.replace(PART, most=23, least=least), io.StringIO()
    got = download(query=slow, said=said)
    assert set_ids(got.path) == sorted(EVERYTHING[:23])[:labels] and got.labels == labels
    told = f"is slow. After {seconds} s the study goes on with the first {labels} labels, of 23"
    assert (told in said.getvalue()) == (labels < 23)
    assert ("goes on with" in said.getvalue()) == (labels < 23)
    assert "openFDA: 4 of 23 labels, " in said.getvalue(), "no bar is shown off a terminal"
    before = len(fake.requests)
    assert cached_labels(tmp_path / "cache", query=slow) == got and len(fake.requests) == before


def test_a_server_that_fails_at_the_end_of_the_time_does_not_stop_a_part_that_is_enough(
    download, fake, waits
):
    fake.faults.extend([None, None] + ["server_error"] * openfda_api.ATTEMPTS)
    said = io.StringIO()
    got = download(query=dataclasses.replace(FEW, most_seconds=0.9, least=8), said=said)
    assert got.labels == 8 and waits == [], "a second to wait is more than there is"
    assert "answered 500 (SERVER_ERROR: Check your request and try again). After 0 s" in said.getvalue()


def test_a_daily_limit_stops_a_part_that_is_enough_and_the_next_run_goes_on(download, fake, waits, tmp_path):
    enough, said = dataclasses.replace(FEW, most_seconds=120.0, least=4), io.StringIO()
    fake.faults.extend([None, "daily_limit"])
    with pytest.raises(StudyStopped, match=r"daily limit.*same command again"):
        download(query=enough, said=said)
    assert waits == [] and "goes on with" not in said.getvalue()
    assert cached_labels(tmp_path / "cache", query=enough) is None
    before = len(fake.requests)
    assert set_ids(download(query=enough).path) == FIRST and len(fake.requests) - before == 2


def test_a_stopped_part_goes_on_and_its_pages_serve_no_other_query(download, fake):
    fake.faults.extend([None, None] + ["cut"] * openfda_api.ATTEMPTS)
    with pytest.raises(StudyStopped, match="same command again"):
        download(query=FEW)
    before = len(fake.requests)
    assert set_ids(download(query=FEW).path) == FIRST and len(fake.requests) - before == 1
    fake.faults.extend([None, None] + ["cut"] * openfda_api.ATTEMPTS)
    with pytest.raises(StudyStopped):
        download(query=FEW)
    assert set_ids(download().path) == EVERYTHING
