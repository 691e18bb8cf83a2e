import time
from xml.etree.ElementTree import Element, SubElement

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainables.corpora.spl_documents import CHAPTER, bold, italic, p, pk, section, underlined
from trainables.corpora.drug_labels import topics
from trainables.corpora.drug_labels.marked_up import cut_section
from trainables.corpora.drug_labels.safe_xml import parse_xml

A = "Velorin is taken up by the gut within an hour."
D = "Velorin spreads into all tissues of the body."
M = "Velorin is turned into two inactive acids."
E = "Velorin leaves the body in urine within a day."
OLD = "Velorin levels are doubled in people above 65 years."
FOUR = [("absorption", A), ("distribution", D), ("metabolism", M), ("excretion", E)]


def cut(xml, **options):
    return cut_section(parse_xml(xml.encode(), "made up"), names=frozenset(("velorin",)), **options)


def found(xml, **options):
    return [(q.label, q.text) for q in cut(xml, **options) if q.label is not None]


def reasons(xml, **options):
    return {q.reason for q in cut(xml, **options) if q.label is None}


FOUR_TEXTS = {"Absorption": A, "Distribution": D, "Metabolism": M, "Excretion": E}


def each(pattern):
    return "".join(pattern.format(h=h, t=t) for h, t in FOUR_TEXTS.items())


LAYOUTS = {
    "bold with colon": each(p(bold("{h}:") + " {t}")),
    "bold, colon outside": each(p(bold("{h}") + ": {t}")),
    "bold with dash": each(p(bold("{h}") + " – {t}")),
    "bold without colon": each(p(bold("{h}") + " {t}")),
    "bold glued to the text": each(p(bold("{h}") + "{t}")),
    "bold with full stop": each(p(bold("{h}.") + " {t}")),
    "underlined and a line break": each(p(underlined("{h}") + "<br/>{t}")),
    "line break within the heading's element": each(p(underlined("{h}<br/>") + "{t}")),
    "one paragraph with breaks alone": p("<br/>".join(underlined(h) + "<br/>" + t for h, t in FOUR_TEXTS.items())),
    "one paragraph, headings inside": p(" ".join(bold(h + ":") + " " + t for h, t in FOUR_TEXTS.items())),
    "paragraph of its own, bold": each(p(bold("{h}")) + p("{t}")),
    "paragraph of its own, plain": each(p("{h}") + p("{t}")),
    "paragraph of its own, italic, capitals": "".join(p(italic(h.upper())) + p(t) for h, t in FOUR_TEXTS.items()),
    "several style codes":
        each('<paragraph><content styleCode="Italics Underline xmChange">{h}</content></paragraph>' + p("{t}")),
    "style codes in capitals": each('<paragraph><content styleCode="BOLD">{h}:</content> {t}</paragraph>'),
    "nested styles": each(p(bold(underlined("{h}")) + "<br/>{t}")),
    "heading in two elements": each(
        '<paragraph><content styleCode="bold">{h}</content><content styleCode="bold">: </content>{t}</paragraph>'),
    "numbered": each(p(bold("12.3.1 {h}")) + p("{t}")),
    "number outside": each(p("12.3.1 " + bold("{h}") + " {t}")),
    "plain with colon": each(p("{h}: {t}")),
    "plain with dash": each(p("{h} - {t}")),
    "all bold with colon": each(p(bold("{h}: {t}"))),
    "list items": "<list>" + each("<item>" + bold("{h}:") + " {t}</item>") + "</list>",
    "list items with bullets":
        "<list>" + each("<item><caption>•</caption>" + underlined("{h}") + " {t}</item>") + "</list>",
    "list items with paragraphs":
        "<list>" + each("<item><paragraph>" + bold("{h}:") + " {t}</paragraph></item>") + "</list>",
    "paragraph captions": each("<paragraph><caption>{h}</caption>{t}</paragraph>"),
    "table, side by side": "<table><tbody>" + each("<tr><td>{h}</td><td>{t}</td></tr>") + "</tbody></table>",
    "table, one column":
        "<table><tbody>" + each("<tr><td>" + bold("{h}") + "</td></tr><tr><td>{t}</td></tr>") + "</tbody></table>",
    "table, in the cell": "<table><tbody><tr>" + each("<td>" + bold("{h}:") + " {t}</td>") + "</tr></tbody></table>",
    "table, heads above texts": "<table><thead><tr>" + each("<th>{h}</th>") +
         "</tr></thead><tbody><tr>" + each("<td>{t}</td>") + "</tr></tbody></table>",
    "HTML styles": each("<paragraph><b>{h}</b><br/>{t}</paragraph>"),
    "with an anchor": each('<paragraph><content ID="a1" styleCode="underline">{h}</content></paragraph>' + p("{t}")),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_headings(layout):
    assert found(pk(LAYOUTS[layout])) == FOUR


@pytest.mark.parametrize("titled", [True, False])
def test_nested_sections_with_titles_or_bold_heads(titled):
    nested = [
        section(p(t), title=f"12.3.{i} {h}") if titled else section(p(bold(h) + " " + t))
        for i, (h, t) in enumerate(FOUR_TEXTS.items(), start=1)
    ]
    assert found(pk("", nested=nested)) == FOUR
    deeper = section("", title="General", nested=nested)
    assert found(pk("", nested=[deeper])) == FOUR


def test_elimination_above_metabolism_and_excretion():
    flat = pk(p("<br/>".join((underlined("Elimination"), italic("Metabolism"), M, italic("Excretion"), E))))
    on_one_line = pk(p(underlined("Elimination ") + italic("Metabolism ") + M) + p(italic("Excretion ") + E))
    nested = pk("", nested=[section("", title="Elimination", nested=[
        section(p(M), title="Metabolism"), section(p(E), title="Excretion")])])  # fmt: skip
    for xml in (flat, on_one_line, nested):
        assert found(xml) == [("metabolism", M), ("excretion", E)]
    with_text = pk(
        p(underlined("Elimination")) + p("Its half-life is 4 hours.") + p(italic("Metabolism")) + p(M)
    )
    assert found(with_text) == [("excretion", "Its half-life is 4 hours."), ("metabolism", M)]


@pytest.mark.parametrize(
    "heading",
    ["Absorption and Distribution", "Metabolism/Excretion", "Metabolism and<br/>Elimination",
     "Absorption, Distribution, Metabolism, and Excretion", "ABSORPTION &amp; BIOAVAILABILITY AND DISTRIBUTION"],
)  # fmt: skip
def test_combined_headings_are_mixed(heading):
    xml = pk(
        p(bold(heading))
        + p(A)
        + p("Another paragraph is below the same heading.")
        + p(bold("Excretion:") + E)
    )
    assert [label for label, _ in found(xml)] == ["mixed", "mixed", "excretion"]


def test_populations_and_interactions_are_other():
    xml = pk(
        p(bold("Absorption:") + A)
        + p(underlined("Specific Populations"))
        + p(italic("Geriatric Patients") + "<br/>" + OLD)
        + p(italic("Reduced liver function") + "<br/>Levels rise when the liver fails.")
        + p(underlined("Drug Interactions"))
        + p("<i>In vitro</i> studies show no inhibition of enzymes.")
    )
    assert [label for label, _ in found(xml)] == ["absorption", "other", "other", "other"]
    assert found(xml)[-1][1] == "In vitro studies show no inhibition of enzymes."


@pytest.mark.parametrize(
    "sentence",
    [
        underlined("Distribution") + " of the drug into tissue is slow.",
        "It was said that " + bold("Metabolism") + " Matters here.",
        bold("Distribution and metabolism are both fast in animals."),
        "Uptake is fast [see " + italic("Drug Interactions (7)") + "]. The rest is slow.",
        "Uptake is fast. See " + bold("OVERDOSAGE") + " For more.",
    ],
)
def test_emphasis_in_a_sentence_is_no_heading(sentence):
    labels = [(q.label, q.reason) for q in cut(pk(p(bold("Absorption:") + A) + p(sentence)))]
    assert labels[0] == ("absorption", "")
    assert labels[1] in (("absorption", ""), (None, topics.UNCLEAR), (None, topics.HIDDEN_HEADING))


@pytest.mark.parametrize("emphasis", [bold("VELORIN"), italic("In vitro"), italic("S")])
def test_emphasis_at_the_start_of_a_sentence_stays_in_the_text(emphasis):
    xml = pk(p(bold("Metabolism")) + p(emphasis + " Velorin is split by an enzyme."))
    ((label, text),) = found(xml)
    assert label == "metabolism" and text.endswith("Velorin is split by an enzyme.") and len(text.split()) > 6


def test_an_unclear_heading_leaves_out_what_is_below():
    xml = pk(p(bold("Absorption:") + A) + p(bold("Enterohepatic Loop")) + p(D) + p(bold("Excretion")) + p(E))
    assert found(xml) == [("absorption", A), ("excretion", E)] and reasons(xml) == {topics.UNCLEAR}


def test_a_headless_section_behind_another_one_is_unclear():
    loose = pk("", nested=[section(p(A), title="Absorption"), section(p(D))])
    assert found(loose) == [("absorption", A)] and reasons(loose) == {topics.UNCLEAR}
    own = pk("", nested=[section(p(bold("Absorption"))), section(p(A))])
    assert found(own) == [("absorption", A)]
    under = pk(
        "", nested=[section("", title="Absorption", nested=[section(p(A)), section(p("It is fast."))])]
    )
    assert [label for label, _ in found(under)] == ["absorption", "absorption"]


def test_no_headings_at_all():
    assert found(pk(p(A) + p(D))) == [] and reasons(pk(p(A) + p(D))) == {topics.NO_HEADING}


def test_introductions():
    intro = "Velorin is given once a day. Values are those of healthy adults."
    assert found(pk(p(intro) + each(p(bold("{h}:") + "{t}"))))[0] == ("other", intro)
    topical = pk(p(A + " " + E) + each(p(bold("{h}:") + "{t}")))
    assert found(topical) == [*FOUR] or reasons(topical) == {topics.TOPICAL_INTRODUCTION}


def test_tables_of_data_captions_and_their_notes_are_left_out():
    table = (
        "<table><caption>Table 1. Values</caption><thead><tr><th>Parameter</th><th>Value</th></tr></thead><tbody>"
        "<tr><td>Absorption</td><td/></tr><tr><td>T max (h)</td><td>2.1 (0.3)</td></tr>"
        "<tr><td>Excretion</td><td>55 % of the dose</td></tr></tbody></table>"
    )
    xml = pk(
        p(bold("Distribution")) + p(D) + p(bold("Table 1: Mean Absorption of Velorin")) + table
        + p("<sup>a</sup> Values are means of ten people.") + p("T max = time to the peak")
        + p("Velorin does not enter the brain of rats.")
    )  # fmt: skip
    assert found(xml) == [("distribution", D), ("distribution", "Velorin does not enter the brain of rats.")]
    assert reasons(xml) == {topics.TABLE}


def test_text_behind_a_table_of_headings_is_unclear():
    xml = pk(LAYOUTS["table, side by side"] + p("A paragraph whose topic nobody knows."))
    assert found(xml) == FOUR and reasons(xml) == {topics.UNCLEAR}


def test_footnotes_figures_and_highlights_are_not_text():
    noted = A.replace("gut", "gut<footnote>Absorption: of rats.</footnote><footnoteRef IDREF='f'/>")
    body = (
        p(bold("Absorption:") + noted)
        + '<renderMultiMedia referencedObject="M"><caption>Fig</caption></renderMultiMedia>'
    )
    xml = pk(body).replace(
        "</section>", f"<excerpt><highlight><text>{p(E)}</text></highlight></excerpt></section>"
    )
    assert found(xml) == [("absorption", A)]


def test_broken_lines_are_joined_and_lists_stay_with_their_introduction():
    xml = pk(
        p(bold("Excretion") + "<br/>Velorin leaves the body<br/>in urine.<br/>The rest is found in bile.")
        + p("The routes are:") + "<list><item>urine, for the larger part</item><item>bile</item></list>"
    )  # fmt: skip
    assert [text for _, text in found(xml)] == [
        "Velorin leaves the body in urine.",
        "The rest is found in bile.",
        "The routes are: urine, for the larger part bile",
    ]


def test_only_the_pharmacokinetic_part_of_a_chapter_is_used():
    body = (
        p(bold("Mechanism of Action") + "<br/>Velorin blocks a receptor.")
        + p(bold("Pharmacokinetics")) + each(p(underlined("{h}") + "<br/>{t}"))
        + p(bold("Pharmacodynamics")) + p("The pulse slows down after an hour.")
    )  # fmt: skip
    xml = section(body, code=CHAPTER, title="CLINICAL PHARMACOLOGY")
    assert found(xml, whole_chapter=True) == FOUR
    assert reasons(xml, whole_chapter=True) == {topics.NOT_PHARMACOKINETICS}


def test_food_effect_is_a_setting():
    xml = pk(p(bold("Effect of Food:") + " A heavy meal doubles the peak of Velorin."))
    assert found(xml)[0][0] == "absorption" and found(xml, food_effect="other")[0][0] == "other"


def test_a_chapter_with_nested_sections_without_codes():
    nested = [
        section(p("Velorin blocks a receptor."), title="12.1 Mechanism of Action"),
        section(
            p(underlined("Absorption of Light")) + p("The skin gets red."), title="12.2 Pharmacodynamics"
        ),
        section(each(p(bold("{h}")) + p("{t}")), title="12.3 Pharmacokinetics"),
        section(p("Resistance was seen in mice."), title="12.4 Microbiology"),
    ]
    xml = section("", code=CHAPTER, title="12 CLINICAL PHARMACOLOGY", nested=nested)
    xml = xml.replace('<code code="42229-5"/>', "")
    assert found(xml, whole_chapter=True) == FOUR
    assert reasons(xml, whole_chapter=True) == {topics.NOT_PHARMACOKINETICS}


def test_white_space_and_invisible_characters_do_not_matter():
    pretty = "<paragraph>\n  <content styleCode='bold'>\n    <content styleCode='italics'>{h}</content>\n  </content>\n"
    xml = pk(each(pretty + "</paragraph>\n" + p("\n  \u200b{t}\n")))
    assert found(xml) == FOUR
    assert found(pk(each(p(bold("\ufeff{h}\u00a0:") + "\u00a0{t}")))) == FOUR


def test_headings_of_two_drugs():
    xml = pk(
        p(underlined("Velorin")) + each(p(italic("{h}") + "<br/>{t}"))
        + p(underlined("Tanoprine")) + p(italic("Absorption") + "<br/>Tanoprine is taken up slowly.")
    )  # fmt: skip
    assert found(xml) == [*FOUR, ("absorption", "Tanoprine is taken up slowly.")]


def test_words_run_together_by_the_source_are_parted():
    xml = pk(p(bold("Metabolism:") + " In " + italic("human plasma") + "Velorin is split by an enzyme."))
    assert found(xml) == [("metabolism", "In human plasma Velorin is split by an enzyme.")]


WORDS = (
    "Absorption Distribution: Metabolism and . - • ( 12.3 Velorin is slow. In vitro Table 3 [see : * a The"
)
TAGS = "paragraph content br list item table tr td caption sup linkHtml text component section title odd"
TEXTS = st.lists(st.sampled_from(WORDS.split(" ")), max_size=8).map(" ".join) | st.text(max_size=8)
STYLES = st.sampled_from(["", "bold", "Italics underline"])
TREES = st.recursive(
    st.tuples(st.sampled_from(TAGS.split(" ")), TEXTS, STYLES, st.just([])),
    lambda inner: st.tuples(st.sampled_from(TAGS.split(" ")), TEXTS, STYLES, st.lists(inner, max_size=5)),
    max_leaves=20,
)


@given(st.lists(TREES, max_size=6), st.booleans(), st.booleans())
@settings(max_examples=100, deadline=None)
def test_whatever_the_tree_paragraphs_have_a_label_or_a_reason(trees, chapter, in_text):
    def build(parent, tree):
        tag, text, style, inner = tree
        element = SubElement(parent, tag, {"styleCode": style})
        element.text = element.tail = text
        for one in inner:
            build(element, one)

    root = Element("section")
    for tree in trees:
        build(SubElement(root, "text") if in_text else root, tree)
    for paragraph in cut_section(root, names={"velorin"}, whole_chapter=chapter):
        assert (paragraph.label is None) == bool(paragraph.reason)
        assert paragraph.label is None or paragraph.text.strip()


def test_hostile_paragraphs_take_linear_time():
    marked = "".join(bold("X. ") + f"word {i}. " for i in range(5_000))
    started = time.process_time()
    cut(pk(p(bold("Absorption:") + A) + p(marked) + p(bold("effect of " * 20_000)) + p("a " * 50_000)))
    assert time.process_time() - started < 5
