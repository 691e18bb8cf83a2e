"""Tables with invented rows, in every format that is read."""

import csv
import gzip
import io
import json

import pyarrow
import pyarrow.parquet

from trainables.corpora.drug_labels.sample import generate_sample

COLUMNS = ("text", "label", "group", "split")


def sample_rows(n_paragraphs=300):
    """Return (text, label, group) of the generated sample."""
    corpus = generate_sample(n_paragraphs)
    return [
        (text, corpus.classes[index], group)
        for text, index, group in zip(corpus.texts, corpus.labels, corpus.groups, strict=True)
    ]


def write_csv(path, rows, header=COLUMNS, encoding="utf-8", **dialect):
    out = io.StringIO()
    writer = csv.writer(out, **dialect)
    if header:
        writer.writerow(header[: len(rows[0])])
    writer.writerows(rows)
    return write(path, out.getvalue().encode(encoding))


def write_json(path, rows, columns=COLUMNS):
    lines = [json.dumps(dict(zip(columns, row, strict=False)), ensure_ascii=False) for row in rows]
    return write(path, "\n".join(lines).encode())


def write_parquet(path, rows, columns=COLUMNS):
    table = {name: list(values) for name, values in zip(columns, zip(*rows, strict=True), strict=False)}
    pyarrow.parquet.write_table(pyarrow.table(table), path)
    return path


def write(path, content):
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path
