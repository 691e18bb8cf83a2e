import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.corpora.drug_labels import topics
from trainables.corpora.drug_labels.flattened import cut_at_headings
from trainables.corpora.drug_labels.sample_sentences import LEADING

END = " Excretion Velorin leaves the body in urine within a day."


def labels(text, **options):
    return [(p.label, p.text) for p in cut_at_headings(text, **options) if p.label is not None]


def test_headings_are_cut_out_in_all_their_forms():
    text = (
        "12.3 Pharmacokinetics The kinetics of Velorin are dose-linear. Absorption: Velorin is taken up fast."
        " Distribution Velorin is 97% bound. Metabolism – Enzymes hydrolyse it. Excretion. The kidneys remove it."
    )
    assert labels(text) == [
        ("other", "The kinetics of Velorin are dose-linear."),
        ("absorption", "Velorin is taken up fast."),
        ("distribution", "Velorin is 97% bound."),
        ("metabolism", "Enzymes hydrolyse it."),
        ("excretion", "The kidneys remove it."),
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        "Elimination half-life is 3 hours.",
        "Metabolism of Velorin is slow.",
        "Distribution into milk was low.",
        "Absorption was not tested.",
        "Food had no influence.",
        "The Absorption Phase is short.",
    ],
)
def test_a_capitalised_word_in_a_sentence_is_no_heading(sentence):
    text = f"Absorption Velorin peaks at 2 hours. {sentence} It is stable.{END}"
    found = cut_at_headings(text)
    assert found[-1].text == "Velorin leaves the body in urine within a day."
    assert len(found) == 2 and sentence in found[0].text


def test_elimination_above_its_subheadings_is_excretion():
    text = "Elimination The half-life is 9 hours. Metabolism Velorin is oxidised. Excretion It is found in feces."
    assert [label for label, _ in labels(text)] == ["excretion", "metabolism", "excretion"]


def test_directly_nested_headings_leave_no_empty_paragraph():
    text = "Elimination Metabolism Velorin is oxidised. Specific Populations Pediatric Patients: Children were studied."
    assert labels(text) == [("metabolism", "Velorin is oxidised."), ("other", "Children were studied.")]


def test_food_effect_and_populations():
    text = (
        "Absorption Velorin peaks at 2 hours. Effect of Food A heavy meal had no influence on Velorin."
        " Patients with Renal Impairment The exposure was doubled. Drug Interaction Studies No study was done."
    )
    assert [label for label, _ in labels(text)] == ["absorption", "absorption", "other", "other"]
    assert [label for label, _ in labels(text, food_effect="other")] == [
        "absorption",
        "other",
        "other",
        "other",
    ]


def test_text_below_an_unknown_heading_is_left_out_with_its_reason():
    text = f"Absorption Velorin peaks at 2 hours. Plaque Psoriasis: Levels were 5 mcg/mL there.{END}"
    found = cut_at_headings(text)
    assert [p.label for p in found] == ["absorption", None, "excretion"]
    assert found[1].reason == topics.UNCLEAR


def test_a_route_below_a_topic_keeps_the_topic():
    text = f"Absorption Oral tablets: Velorin peaks at 2 hours. Intravenous infusion: Levels peak at its end.{END}"
    assert [label for label, _ in labels(text)] == ["absorption", "absorption", "excretion"]


def test_substances_of_a_combination_each_get_a_paragraph():
    text = f"Absorption Velorin: It peaks at 2 hours. Tanoprine: It peaks at 4 hours.{END}"
    assert [label for label, _ in labels(text)] == ["absorption", "absorption", "excretion"]


def test_tables_are_left_out():
    text = f"Distribution Velorin is bound. Table 2: Mean Values Dose Cmax 10 mg 33 (4) 20 mg 60 (9){END}"
    found = cut_at_headings(text, names={"velorin"})
    assert [(p.label, p.reason) for p in found] == [
        ("distribution", ""),
        (None, topics.TABLE),
        ("excretion", ""),
    ]


def test_cells_without_a_sentence_are_left_out():
    text = f"Distribution Vz/F 12 (3) L 14 (2) L Ratio 0.5 0.6{END}"
    assert cut_at_headings(text, names={"velorin"})[0].reason == topics.TABLE


def test_a_heading_that_hides_in_a_table_spoils_the_paragraph():
    text = f"Absorption Velorin is taken up within 2 hours ↑ 64% to 144% Distribution % Bound 97{END}"
    assert cut_at_headings(text)[0].reason == topics.HIDDEN_HEADING


def test_a_heading_after_a_lost_full_stop_is_found():
    text = "Absorption Velorin is taken up well and peaks at 2 hours (range 1 to 5) Distribution The volume is 30 L."
    assert [label for label, _ in labels(text)] == ["absorption", "distribution"]


def test_a_section_without_headings_is_left_out_whole():
    text = "Velorin is absorbed, distributed and excreted. No more is known."
    (only,) = cut_at_headings(text)
    assert (only.label, only.reason) == (None, topics.NO_HEADING)


def test_introductions_that_are_none():
    topical = f"Velorin is absorbed fast and excreted in urine.{END}"
    assert cut_at_headings(topical)[0].reason == topics.TOPICAL_INTRODUCTION
    long = "Kinetics were studied in many trials. " * 40 + END
    assert cut_at_headings(long)[0].reason == topics.LONG_INTRODUCTION


def test_only_the_pharmacokinetic_part_of_a_whole_chapter_is_used():
    text = (
        "12.1 Mechanism of Action Velorin blocks a receptor. 12.3 Pharmacokinetics Kinetics are linear in adults."
        " Absorption Velorin peaks at 2 hours. 12.4 Microbiology Velorin acts on some strains."
    )
    found = cut_at_headings(text, whole_chapter=True)
    assert [p.label for p in found] == [None, "other", "absorption", None]
    assert {p.reason for p in found if p.label is None} == {topics.NOT_PHARMACOKINETICS}


def test_a_name_in_lower_case_may_start_a_sentence():
    text = f"Absorption velorin peaks at 2 hours.{END}"
    assert labels(text, names={"velorin"})[0] == ("absorption", "velorin peaks at 2 hours.")


PROCESSES = ["absorption", "distribution", "metabolism", "excretion"]


@settings(max_examples=50, deadline=None)
@given(order=st.permutations(PROCESSES), colon=st.sampled_from(["", ":", " :"]), pick=st.integers(0, 9))
def test_no_heading_stays_and_no_word_is_lost(order, colon, pick):
    bodies = {
        name: f"Velorin pattern {LEADING[name][pick].split('{')[0].strip()} was seen once." for name in order
    }
    bodies = {name: text.replace("[", "").replace("|", " ") for name, text in bodies.items()}
    text = " ".join(f"{name.capitalize()}{colon} {bodies[name]}" for name in order)
    assert labels(text) == [(name, " ".join(bodies[name].split())) for name in order]
