import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.corpora.drug_labels.headings import CLASSES, MIXED, classify_heading


@pytest.mark.parametrize(
    ("heading", "label"),
    [
        ("Absorption", "absorption"),
        ("ABSORPTION:", "absorption"),
        ("Absolute Bioavailability", "absorption"),
        ("Absorption and Bioavailability", "absorption"),
        ("Effect of Food", "absorption"),
        ("Food Effects on Absorption", "absorption"),
        ("Distribution –", "distribution"),
        ("Plasma Protein Binding", "distribution"),
        ("Distribution and Protein Binding", "distribution"),
        ("Volume of distribution", "distribution"),
        ("Hepatic Metabolism", "metabolism"),
        ("Biotransformation", "metabolism"),
        ("Metabolites", "metabolism"),
        ("Elimination", "excretion"),
        ("Elimination Half-Life", "excretion"),
        ("Excretion/Elimination", "excretion"),
        ("Clearance", "excretion"),
        ("Metabolism and Excretion", MIXED),
        ("Absorption, Distribution, Metabolism, and Excretion", MIXED),
        ("Distribution & Metabolism", MIXED),
        ("12.3 Pharmacokinetics", "other"),
        ("Specific Populations", "other"),
        ("Patients with Renal Impairment", "other"),
        ("Age, Sex, and Race", "other"),
        ("Geriatric Use", "other"),
        ("Drug-Drug Interactions", "other"),
        ("Effect of Ketoconazole on the Clearance of Velorin", "other"),
        ("CYP3A Inhibitors", "other"),
        ("12.5 Pharmacogenomics", "other"),
        ("Mechanism of Action", "other"),
    ],
)
def test_the_table(heading, label):
    assert classify_heading(heading) == label


@pytest.mark.parametrize(
    "heading", ["", "Velorin", "Adults", "Absorption is slow", "In Vitro", "The absorption of Velorin"]
)
def test_what_is_no_known_heading(heading):
    assert classify_heading(heading) is None


def test_food_is_a_setting():
    assert classify_heading("Effect of Food", food_effect="other") == "other"
    assert classify_heading("Absorption and Food Effect") == "absorption"
    assert classify_heading("Absorption and Food Effect", food_effect="other") == MIXED


@given(st.text(max_size=60))
def test_any_text_gets_a_known_answer(text):
    assert classify_heading(text) in (*CLASSES, MIXED, None)


@given(
    st.sampled_from(["Absorption", "Plasma Protein Binding", "Metabolism and Excretion", "Race"]),
    st.booleans(),
)
def test_number_case_and_punctuation_do_not_matter(heading, upper):
    dressed = f"12.3.1  {heading.upper() if upper else heading} :"
    assert classify_heading(dressed) == classify_heading(heading)
