"""Label records in openFDA's form, with invented drugs and texts."""

import gzip
import json

from trainables.corpora.drug_labels.sample import generate_sample

HEADINGS = {
    "absorption": "Absorption",
    "distribution": "Distribution",
    "metabolism": "Metabolism",
    "excretion": "Excretion",
    "other": "Specific Populations",
}


def label(drug, section, *, set_id=None, field="pharmacokinetics", version="1", **more):
    return {
        "id": f"id-{set_id or drug}-{version}",
        "set_id": set_id or f"set-{drug}",
        "version": version,
        "effective_time": f"2024010{version}",
        "openfda": {"substance_name": [drug.upper()]},
        field: [section],
        **more,
    }


def sample_labels(n_paragraphs=300):
    """Return one record a drug of the generated sample, its paragraphs below inline headings."""
    corpus = generate_sample(n_paragraphs)
    sections = {}
    for text, index, drug in zip(corpus.texts, corpus.labels, corpus.groups, strict=True):
        heading = HEADINGS[corpus.classes[index]]
        sections.setdefault(drug, ["12.3 Pharmacokinetics", "Absorption: Taken up within one hour or so."])
        sections[drug].append(f"{heading}: {text}")
    return [label(drug, " ".join(parts)) for drug, parts in sections.items()]


def write_lines(path, records):
    content = "".join(json.dumps(record) + "\n" for record in records).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path
