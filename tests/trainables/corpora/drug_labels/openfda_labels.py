"""The labels of the fake openFDA in these tests, and what of them came."""

from tests.trainables.corpora.label_records import label
from trainables.corpora.drug_labels.records import read_records

SECTION = "Absorption Drug{i} peaks at {i} hours. Excretion Drug{i} leaves in urine within {i} days."


def many(n, field="pharmacokinetics", start=0):
    return [
        label(
            f"drug{i}", SECTION.format(i=i), set_id=f"{field}-{i}", field=field, adverse_reactions=["Long."]
        )
        for i in range(start, start + n)
    ]


def set_ids(path):
    return [record["set_id"] for _, record in read_records(path)]


EVERYTHING = [f"pharmacokinetics-{i}" for i in range(23)] + [
    f"clinical_pharmacology-{i}" for i in range(100, 105)
]
