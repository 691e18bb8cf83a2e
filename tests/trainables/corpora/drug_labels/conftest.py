"""A fake openFDA, and downloads from it."""

import io

import pytest
from rich.console import Console

from tests.trainables.corpora.drug_labels.openfda_labels import many
from tests.trainables.corpora.fake_openfda import FakeOpenfda, serving
from trainables.corpora.drug_labels.openfda_api import OpenfdaApi
from trainables.corpora.drug_labels.openfda_download import download_labels
from trainables.corpora.drug_labels.openfda_queries import ALL


@pytest.fixture
def fake():
    chapters = [
        {**record, "clinical_pharmacology": ["12.3 Pharmacokinetics " + record["clinical_pharmacology"][0]]}
        for record in many(5, "clinical_pharmacology", start=100)
    ]
    return FakeOpenfda(many(23), chapters)


@pytest.fixture
def url(fake):
    with serving(fake) as address:
        yield address


@pytest.fixture
def waits():
    return []


@pytest.fixture
def download(tmp_path, url, waits):
    def start(key=None, query=ALL, said=None):
        api = OpenfdaApi(url, key, pause=waits.append, requests_per_minute=1e9)
        console = Console(file=said or io.StringIO())
        return download_labels(tmp_path / "cache", query=query, api=api, page_size=4, console=console)

    return start
