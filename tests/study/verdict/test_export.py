"""The report as Markdown and SVG files: for a paper, and without what belongs to one machine."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest

from study.compare import main
from tests.study.confirmed_study import confirm


@pytest.fixture
def exported(tmp_path, make_study, capsys):
    ledger = make_study(ratios=(0.1,), is_sample=True, notice="Generated.", remarks=[])
    confirm(ledger, replicates=5)
    path = tmp_path / "adme" / "importances.json"
    path.write_text(json.dumps([{"imbalance_ratio": 0.1, "trials": 9, "importances": {"copies": 0.75}}]))
    assert main(["adme", "--storage", str(tmp_path), "--export"]) == 0
    assert f"exported: {tmp_path}/adme/export/report.md" in capsys.readouterr().out
    return tmp_path / "adme" / "export"


def test_the_markdown_holds_the_classes_and_every_figure_that_lies_beside_it(exported):
    page = (exported / "report.md").read_text()
    shown = re.findall(r"!\[[^]]*\]\(([^)]*)\)", page)
    assert sorted(shown) == sorted(path.name for path in exported.glob("*.svg"))
    assert {"confirmed-gain.svg", "gain.svg", "gains.svg", "cost-0.1.svg", "search-0.1.svg"} <= set(shown)
    assert sum(name.startswith("precision-recall-0.1-") for name in shown) == 4
    assert (
        "Each class on the test texts, imbalance ratio 0.1 (1:10)" in page
        and "| class | texts | precision |" in page
    )
    assert "over 9 scored trials" in page and "- copies: 75%" in page


def test_every_file_stands_on_its_own_and_says_that_the_corpus_is_a_sample(exported):
    for path in exported.glob("*.svg"):
        text = path.read_text()
        root = ElementTree.fromstring(text)
        assert "var(--" not in text and root.tag.endswith("svg")
        words = [element.text for element in root.iter() if element.tag.endswith("}text")]
        assert (
            path.name == "gains.svg"
        ) or "generated sample corpus: means nothing about real texts" in words


def test_another_folder_can_be_named_and_without_the_option_nothing_is_exported(tmp_path, make_study):
    make_study()
    assert main(["adme", "--storage", str(tmp_path)]) == 0
    assert not (tmp_path / "adme" / "export").exists()
    assert (
        main(["adme", "--storage", str(tmp_path), "--export", str(tmp_path / "x"), "--format", "json"]) == 0
    )
    assert (tmp_path / "x" / "report.md").exists() and not list((tmp_path / "x").glob("confirmed*"))
