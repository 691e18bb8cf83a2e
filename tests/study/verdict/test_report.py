import dataclasses
import json
import re
from html.parser import HTMLParser

import pytest

from study.compare import main
from study.verdict.comparison import build_comparison, load_study
from study.verdict.report import costs, render_report, write_report
from study.verdict.svg import DARK, LIGHT
from tests.study.confirmed_study import confirm
from trainables.corpora.notices import NOTICES, SAMPLE
from trainables.errors import ConfigurationError

VOID = {"meta", "link", "br", "circle", "line", "rect", "polyline"}
HOSTILE = '<script>alert("x")</script> & "friends" $\\frac{'


class Page(HTMLParser):
    """Collects tags, addresses and text, and fails on unbalanced tags."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.addresses, self.text = [], [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += " " + data


def comparison_of(tmp_path, name="adme", **options):
    facts, ledger = load_study(tmp_path, name)
    return build_comparison(ledger, facts, **options)


def render(tmp_path, name="adme", **options):
    html = render_report(comparison_of(tmp_path, name, **options))
    page = Page(html)
    page.text = " ".join(page.text.split())
    return html, page


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"trials": 0},
        {"trials": 0, "reference": False},
        {"reference": False},
        {"replicates": 1},
        {"ratios": (0.1,), "trials": 1},
        {"classes": {f"a class with a long name, number {i}": i for i in range(30)}},
        {"classes": {"empty": 0, "void": 0}},
    ],
)
def test_every_stage_of_a_study_renders_without_outside_resources(tmp_path, make_study, options):
    make_study(**options)
    html, page = render(tmp_path)
    assert all(address.startswith("#") for address in page.addresses)
    assert not re.search(r"url\((?!#)|@import", html)
    assert "nan" not in page.text.lower().split()


def test_nothing_of_the_user_becomes_markup(tmp_path, make_study):
    ledger = make_study(ratios=(0.1,), classes={HOSTILE: 10, "plain": 20}, trials=2)
    ledger.start_trial(HOSTILE, "search", "prefinetune", 0.1, {"operator": HOSTILE, HOSTILE: 1})
    ledger.finish_trial(HOSTILE, "failed", HOSTILE)
    plain_tags = Page(render_report(comparison_of(tmp_path))).tags.count("script")
    for metric in ("val/macro_f1", f"val/recall/{HOSTILE}"):
        html, page = render(tmp_path, metric=metric)
        assert plain_tags == page.tags.count("script") == 1
        assert "<script>alert" not in html
        assert HOSTILE in page.text


def test_answer_leads_and_says_that_it_is_no_verdict(tmp_path, make_study):
    make_study(effect=0.2)
    _, page = render(tmp_path)
    headline, first_section = page.text.index("is ahead of tuned vanilla"), page.text.index("Baselines")
    assert headline < page.text.index("This is not a verdict") < first_section


@pytest.mark.parametrize("is_sample", [True, False])
def test_the_sample_corpus_is_marked_once_and_no_figure_is_written_over(tmp_path, make_study, is_sample):
    make_study(is_sample=is_sample)
    html, page = render(tmp_path)
    assert (
        page.text.count(SAMPLE) == html.count('class="watermark"') == html.count("SAMPLE CORPUS") == is_sample
    )
    if is_sample:
        assert html.index('class="watermark"') < html.index("</header>")


def test_what_a_corpus_says_of_its_labels_stands_in_the_report(tmp_path, make_study):
    make_study("adme", notice="Silver labels: nobody looked.")
    assert "Silver labels: nobody looked." in render(tmp_path, "adme")[1].text


@pytest.mark.parametrize(("corpus", "is_sample"), [("adme", False), ("adme", True), ("trec", False)])
def test_a_study_of_an_earlier_version_has_its_corpus_notice_all_the_same(
    tmp_path, make_study, corpus, is_sample
):
    make_study("older", is_sample=is_sample)
    path = tmp_path / "older" / "study.json"
    facts = json.loads(path.read_text())
    assert "notice" not in facts["corpus"]
    facts["config"]["corpus"] = corpus
    path.write_text(json.dumps(facts))
    text = render(tmp_path, "older")[1].text
    assert (NOTICES["adme"] in text) is (corpus == "adme" and not is_sample)
    assert (SAMPLE in text) is is_sample


def test_remarks_on_the_texts_stand_beside_the_answer(tmp_path, make_study, capsys):
    make_study("tabular", remarks=["“a<b>.csv” was read as cp1252."])
    assert "“a<b>.csv” was read as cp1252." in render(tmp_path, "tabular")[1].text
    assert main(["tabular", "--storage", str(tmp_path)]) == 0
    assert "Note: “a<b>.csv” was read as cp1252." in capsys.readouterr().out
    assert main(["tabular", "--storage", str(tmp_path), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["remarks"] == ["“a<b>.csv” was read as cp1252."]


def test_figure_has_words_and_follows_the_page_colours(tmp_path, make_study):
    make_study(ratios=(0.1,))
    html, _ = render(tmp_path)
    figure = html[html.index('class="figure"') : html.index("<figcaption>")]
    assert 'role="img"' in html
    assert re.search(r"<desc [^>]*>Ratio 0\.1 \(1:10\): leading trial \+", figure)
    assert "var(--series-0)" in figure
    assert not re.search(r"#0[1-8]0", figure)


def test_the_same_comparison_gives_the_same_report(tmp_path, make_study):
    make_study()
    assert render(tmp_path)[0] == render(tmp_path)[0]


def test_failures_states_and_racing_are_told(tmp_path, make_study):
    make_study(ratios=(0.1,), trials=6, replicates=4)
    _, page = render(tmp_path)
    assert "loss is not a number at step 12" in page.text
    every_trial = page.text.partition("Every trial")[2].partition("what went wrong")[0]
    assert "failed TrialFailed: loss is not a number at step 12" in every_trial
    assert "replicates run complete raced out failed still running" in page.text
    assert "2 – 4 – – 4 2 – – –" in page.text


def test_what_an_older_study_lacks_of_the_classes_is_left_out(tmp_path, make_study):
    ledger = make_study()
    _, page = render(tmp_path)
    assert "validation texts recall F1" in page.text.replace("class recall", "class validation texts recall")
    assert "non-majority micro F1" in page.text
    older = re.sub(r', "val/(f1/[^"]*|micro_f1_minority)": [0-9.e-]+', "", ledger.path.read_text())
    ledger.path.write_text(re.sub(r', "crc32": "[0-9a-f]{8}"', "", older))
    _, page = render(tmp_path)
    assert "class recall" in page.text and "class recall F1" not in page.text
    assert "non-majority micro F1" not in page.text


def test_costs_add_up(tmp_path, make_study):
    ledger = make_study()
    found = costs(comparison_of(tmp_path))
    assert sum(c.seconds for c in found) == pytest.approx(sum(t.seconds for t in ledger.trials.values()))
    assert sum(c.trials for c in found) == len(ledger.trials)


def test_writing_replaces_the_report_and_leaves_nothing_else(tmp_path, make_study):
    make_study()
    comparison = comparison_of(tmp_path)
    comparison.report.write_text("old")
    before = set(comparison.report.parent.iterdir())
    assert write_report(comparison) == tmp_path / "adme" / "report.html"
    assert comparison.report.read_text(encoding="utf-8") == render_report(comparison)
    assert set(comparison.report.parent.iterdir()) == before


def test_a_failed_render_keeps_the_old_report(tmp_path, make_study, monkeypatch):
    make_study()
    comparison = comparison_of(tmp_path)
    write_report(comparison)
    old = comparison.report.read_text(encoding="utf-8")
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        write_report(comparison)
    assert comparison.report.read_text(encoding="utf-8") == old
    assert not list(comparison.report.parent.glob(".report*"))


def with_facts(comparison, **facts):
    return dataclasses.replace(comparison, study={**comparison.study, **facts})


def test_what_was_left_out_of_the_corpus_is_told(tmp_path, make_study):
    make_study()
    comparison = comparison_of(tmp_path)
    corpus = {**comparison.study["corpus"], "left_out": {"mixed_heading": 1234}}
    assert "mixed heading 1,234" in Page(render_report(with_facts(comparison, corpus=corpus))).text


def test_judging_by_another_metric_than_the_search_did_is_told(tmp_path, make_study):
    make_study()
    assert "search maximised" not in render(tmp_path)[1].text
    assert "The search maximised the gain in macro F1" in render(tmp_path, metric="val/nll")[1].text


def class_section(html):
    section = html[html.index("<h2>Each class</h2>") :]
    return section[: section.index("</section>")]


def test_a_class_stands_beside_the_texts_that_it_was_scored_on(tmp_path, make_study):
    counts = {"absorption": 61, "distribution": 17, "metabolism": 13, "excretion": 11, "other": 7}
    classes = {name: 10 * n for name, n in counts.items()}
    parts = {"train": classes, "validation": counts, "test": dict.fromkeys(counts, 5)}
    make_study("adme", classes=classes, parts=parts)
    table = class_section(render(tmp_path)[0])
    assert "validation texts</th>" in table and ">61<" in table and ">610<" not in table
    _, page = render(tmp_path)
    assert "class texts share train validation test" in page.text


def test_what_the_intervals_cover_depends_on_whether_replicates_vary_the_split(tmp_path, make_study):
    counts = {"absorption": 61, "distribution": 17, "metabolism": 13, "excretion": 11, "other": 7}
    make_study("adme", parts={"train": counts, "validation": counts, "test": counts})
    comparison = comparison_of(tmp_path)
    text = " ".join(Page(render_report(comparison)).text.split())
    assert "All replicates share one split" in text and "not other validation texts; at the natural" in text
    for ratios, bound, covered in (
        ((0.1, "natural"), 50, "cover other draws and seeds, not other validation texts. "),
        ((0.1,), None, "cover other draws and seeds, not other validation texts. "),
        (("natural",), 2000, "cover other seeds, not other draws or validation texts. "),
    ):
        facts = {"ratios": ratios, "config": {**comparison.study["config"], "max_train_rows": bound}}
        page = Page(render_report(with_facts(comparison, **facts)))
        assert covered in " ".join(page.text.split())
    ranges = {"validation": {**{name: [n, n] for name, n in counts.items()}, "absorption": [58, 1063]}}
    facts = {"config": {**comparison.study["config"], "resplit": True}, "part_ranges": ranges}
    html = render_report(with_facts(comparison, **facts))
    text = " ".join(Page(html).text.split())
    assert "share one split" not in text and "training and validation texts of its own" in text
    assert "the fewest and the most texts over the replicates" in text
    assert ">58–1,063<" in class_section(html) and ">17<" in class_section(html)


def test_a_study_from_before_the_parts_were_counted_shows_no_count_beside_its_classes(tmp_path, make_study):
    make_study("adme")
    assert '<th scope="col" class="number">' not in class_section(render(tmp_path)[0])


def test_many_classes_get_a_table_of_bounded_height_that_sorts_and_a_sentence(tmp_path, make_study):
    classes = {f"class {i}": 20 for i in range(150)}
    make_study("adme", ratios=(0.1,), classes=classes, parts={"validation": classes})
    table = class_section(render(tmp_path)[0])
    assert '<div class="scroll tall"><table class="sortable">' in table
    assert re.search(r"recall is higher in \d+ of 150 classes, lower in \d+ and the same in \d+", table)
    make_study("few", ratios=(0.1,))
    assert "tall" not in class_section(render(tmp_path, "few")[0])


def test_a_name_that_turns_the_text_around_stays_in_its_cell(tmp_path, make_study):
    make_study("adme", classes={"\u202ename": 40, "other": 40})
    assert "<bdi>\u202ename</bdi>" in render(tmp_path)[0]


def test_the_report_of_a_confirmed_study_begins_with_the_verdict(tmp_path, make_study):
    ledger = make_study(ratios=(0.1, "natural"), failed=False)
    confirm(ledger, ratios=(0.1, "natural"))
    html, page = render(tmp_path)
    assert "pre-finetuning beats tuned vanilla at every imbalance ratio" in page.text
    verdict, search = (
        html.index("The verdict: confirmed on the test split"),
        html.index("The search, on validation"),
    )
    assert verdict < search and html[verdict:search].count("the winner</span>") == 2
    assert html[verdict:search].count("If you act on this") == 2
    assert (
        html.count('id="confirmed-title"') == 1
        and "Ratio 0.1 (1:10): the winner of pre-finetuning +0." in html
    )
    assert "(--confirm)" not in html and "the confirmation compares them on fresh ones" in html
    assert render(tmp_path)[0] == html


def test_the_verdict_and_what_to_do_stand_before_the_notes(tmp_path, make_study):
    ledger = make_study(ratios=(0.1,), failed=False, remarks=["Half of the texts were cut."])
    confirm(ledger, ratios=(0.1,))
    html, _ = render(tmp_path)
    assert html.count("If you act on this") == 1
    places = [
        html.index(text)
        for text in ("If you act on this", "Every arm on the same fresh replicates", "Half of the")
    ]
    assert places == sorted(places) and html.count("Half of the texts were cut.") == 1


def test_before_a_confirmation_there_are_no_figures_of_scores_and_no_test_texts(tmp_path, make_study):
    make_study()
    _, page = render(tmp_path)
    assert "What the scores say" not in page.text and "On the test texts" not in page.text


def test_a_confirmed_study_shows_its_classes_curves_confusions_and_calibration(tmp_path, make_study):
    ledger = make_study(ratios=(0.1,))
    confirm(ledger, replicates=5)
    html, page = render(tmp_path)
    assert "On the test texts, imbalance ratio 0.1 (1:10), 5 replicates: vanilla → winner" in page.text
    assert "class test texts precision recall F1" in page.text and "The same on validation" in page.text
    figures = page.text[page.text.index("What the scores say") : page.text.index("Every trial")]
    assert figures.count("AP 0.") == 4  # one for each class
    assert figures.count("ECE 0.") == 2 and figures.count("taken for →") == 2
    assert render(tmp_path)[0] == html


def test_ids_are_unique_on_the_page(tmp_path, make_study):
    ledger = make_study(ratios=(0.1, "natural"))
    confirm(ledger, ratios=(0.1, "natural"), replicates=2)
    html, _ = render(tmp_path)
    ids = re.findall(r' id="([^"]*)"', html)
    assert len(ids) == len(set(ids)) > 20
    assert {
        name for names in re.findall(r'aria-labelledby="([^"]*)"', html) for name in names.split()
    } <= set(ids)


def test_a_large_study_stays_below_three_megabytes(tmp_path, make_study):
    classes = {f"a class with a long name, number {i}": 20 + i for i in range(14)}
    ratios = (0.5, 0.2, 0.1, 0.05, 0.02, "natural")
    ledger = make_study(ratios=ratios, trials=33, classes=classes)
    confirm(ledger, ratios=ratios, replicates=2)
    assert len(render(tmp_path)[0].encode()) < 3_000_000


def test_what_mattered_is_told_with_the_trials_that_it_rests_on(tmp_path, make_study):
    make_study(ratios=(0.1,))
    assert "functional ANOVA" not in render(tmp_path)[1].text
    path = tmp_path / "adme" / "importances.json"
    found = [{"imbalance_ratio": 0.1, "trials": 9, "importances": {"copies": 0.75, "stage1_epochs": 0.25}}]
    path.write_text(json.dumps(found))
    text = render(tmp_path)[1].text
    assert "estimated on 9 scored trials" in text and "copies 75 % stage1 epochs 25 %" in text
    path.write_text("[{]")
    with pytest.raises(ConfigurationError, match=r"importances\.json is damaged"):
        render(tmp_path)


def test_cost_stands_beside_gain_and_the_search_is_drawn(tmp_path, make_study):
    ledger = make_study(ratios=(0.1,), replicates=3)
    text = render(tmp_path)[1].text
    assert "Gain and cost of every arm" in text and "Every trial of the search" in text
    assert "hollow marks have no interval" in text and "on the test split, hollow" not in text
    confirm(ledger, replicates=5)
    assert "interval, on the test split" in render(tmp_path)[1].text


def test_colours_are_those_of_the_light_the_dark_and_the_printed_page(tmp_path, make_study):
    make_study()
    html, _ = render(tmp_path)
    style = html[html.index("<style>") : html.index("</style>")]
    assert (
        style.index(LIGHT["series-0"])
        < style.index("prefers-color-scheme: dark")
        < style.index(DARK["series-0"])
    )
    assert set(re.findall(r"var\(--([\w-]+)\)", html)) <= set(LIGHT) == set(DARK)
