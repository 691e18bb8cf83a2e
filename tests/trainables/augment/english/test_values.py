import pytest

from trainables.augment.english.values import keeps_values, values


def test_values_are_numerals_codes_and_units():
    text = "(About 12.5 mg/L, 35% and 7 days) of CYP3A4; t1/2 was 1,250 ng·h/mL, 14C at 3 sites."
    assert set(values(text)) == {
        "12.5", "mg/L", "35%", "7", "days", "CYP3A4", "t1/2", "1,250", "ng·h/mL", "14C", "3"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "made", "kept"),
    [
        ("a dose of 5 mg", "5 mg were given", True),
        ("a dose of 5 mg", "five mg were given", False),
        ("a dose of 5 mg", "5 g were given", False),
        ("5 mg and 5 mg", "5 mg twice", False),
        ("it is 12.5", "it was 12.5.", True),
        ("it is 12.5", "it is 125", False),
        ("CYP3A4 acts", "CYP3A5 acts", False),
        ("it is not known", "nobody knows it", True),
        ("it is not known", "it is known", False),
        ("it is known", "it isn't known", False),
        ("it doesn’t work", "it never works", True),
    ],
)
def test_a_rewriting_keeps_values_or_not(source, made, kept):
    assert keeps_values(source, made) == kept
