"""Feed mutated files to every corpus reader: nothing but a corpus or a ConfigurationError may come out.

Command::

    python -m tests.trainables.corpora.fuzz_readers --inputs 50000

Each input is a valid small file of one format that was cut, spliced, re-encoded, compressed or spiked with what breaks
parsers, read with options that fit or do not. Prints one JSON object; exits with 1 if anything else came out, and names
the seed that brings it back.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import random
import shutil
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from pathlib import Path

import pyarrow
import pyarrow.parquet

from study.data import describe
from tests.trainables.corpora.label_records import label
from tests.trainables.corpora.spl_documents import bold, document, p, pk, underlined
from trainables.corpora.registry import read_corpus
from trainables.errors import ConfigurationError

TEXTS = (
    "the quick drug is absorbed, slowly",
    'she said "take two" and left',
    "naïve café µg/mL ≥ 5 °C",
    "one\nline break inside",
    "0",
    "",
    "tab\tinside",
    "semi;colon|pipe",
)
LABELS = ("yes", "no", "no", "1", "")
SPIKES = (
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xff",
    b"\xc3",
    b'"',
    b'""',
    b"'",
    b"\r",
    b"\r\n",
    b"\n",
    b"\n\n\n",
    b",",
    b",,,",
    b"\t",
    b";",
    b"\\ud800",
    b"\\u0000",
    b"[" * 5000,
    b"{" * 50,
    b"}",
    b"]",
    b"9" * 5000,
    b"1e999",
    b"NaN",
    b"-1",
    b"null",
    b"true",
    b"A" * 70_000,
    b"\x1b[31m",
    b"../../etc/passwd",
    b"<!DOCTYPE a [<!ENTITY x 'y'>]>",
    b"&x;",
    b"&#0;",
    b"<a>" * 3000,
    b"PK\x03\x04",
    b"\x1f\x8b\x08\x00",
    b"PAR1",
)


def table_rows(rng):
    return [
        (
            rng.choice(TEXTS) + f" {index}",
            rng.choice(LABELS),
            f"g{index // 2}",
            rng.choice(("train", "dev", "test")),
        )
        for index in range(rng.randint(1, 20))
    ]


def delimited(rng):
    import csv

    out = io.StringIO()
    delimiter = rng.choice(",\t;|")
    quoting = rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=rng.choice(("\n", "\r\n")))
    if rng.random() < 0.8:
        writer.writerow(
            ("text", "text", "label", "split") if rng.random() < 0.1 else ("text", "label", "group", "split")
        )
    writer.writerows(table_rows(rng))
    return out.getvalue().encode(
        rng.choice(("utf-8", "utf-8", "utf-16", "utf-16-le", "utf-8-sig"))
    ), rng.choice((".csv", ".tsv", ".txt"))


def json_lines(rng):
    lines = []
    for text, name, group, split in table_rows(rng):
        value = name if rng.random() < 0.9 else rng.choice((1, 1.0, True, None, [name], {"a": name}, 10**30))
        lines.append(
            json.dumps(
                {"text": text, "label": value, "group": group, "split": split},
                ensure_ascii=rng.random() < 0.5,
            )
        )
    return "\n".join(lines).encode(), ".jsonl"


def parquet(rng):
    rows = table_rows(rng)
    label_type = rng.choice(
        (str, str, str, str, lambda v: len(v), lambda v: float(len(v)), lambda v: [v], lambda v: v.encode())
    )
    table = pyarrow.table(
        {
            "text": [row[0] for row in rows],
            "label": [label_type(row[1]) for row in rows],
            "group": [row[2] for row in rows],
            "split": [row[3] for row in rows],
        }
    )
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out, compression=rng.choice(("none", "snappy", "gzip")))
    return out.getvalue(), ".parquet"


def label_records(rng):
    section = (
        "12.3 Pharmacokinetics Absorption Velorin peaks at 2 hours after a dose. Distribution Its volume is 5 L in "
        "adults. Metabolism and Excretion It is oxidised and leaves in bile."
    )
    records = [label(f"drug{index}", section, set_id=f"s{index}") for index in range(rng.randint(1, 4))]
    if rng.random() < 0.3:
        return json.dumps({"meta": {}, "results": records}, indent=rng.choice((None, 1))).encode(), ".json"
    return "\n".join(map(json.dumps, records)).encode(), ".jsonl"


def label_documents(rng):
    body = (
        p(bold("Absorption:") + " Velorin peaks at 2 hours after a dose.")
        + p(underlined("Distribution"))
        + p("Its volume of distribution is 5 L in most adults.")
        + "<table><tr><td>Metabolism</td><td>It is oxidised by an enzyme of the liver.</td></tr></table>"
    )
    content = document(pk(body)).encode(rng.choice(("utf-8", "utf-8", "utf-16")))
    if rng.random() < 0.6:
        return content, ".xml"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a/one.xml", mutate(rng, content))
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as nested:
            nested.writestr("two.xml", mutate(rng, content))
        archive.writestr("b.zip", inner.getvalue())
    return out.getvalue(), ".zip"


def archived(rng, files):
    out = io.BytesIO()
    if rng.random() < 0.5:
        with zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return out.getvalue(), ".zip"
    with tarfile.open(fileobj=out, mode=rng.choice(("w", "w:gz"))) as bundle:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            bundle.addfile(entry, io.BytesIO(content))
    return out.getvalue(), ".tar"


def sst2(rng):
    if rng.random() < 0.5:
        trees = b"(3 (2 a) (4 (3 fine) (2 film)))\n(1 (2 a) (0 dull) (2 one))\n(2 (2 so) (2 so))\n"
        files = {f"trees/{part}.txt": trees for part in ("train", "dev", "test")}
    else:
        files = {
            "train.tsv": b"sentence\tlabel\na fine film \t1\ndull \t0\n",
            "dev.tsv": b"label\tcontent\n1\tlovely\n0\tbad one\n",
            "test.tsv": b"index\tsentence\n0\twho knows\n",
        }
    return archived(rng, {name: mutate(rng, content) for name, content in files.items()})


def trec(rng):
    lines = "NUM:dist How far is it ?\nHUM:ind Who was Zoë ?\nLOC:city What town is it ?\n".encode("latin-1")
    return archived(rng, {"train_5500.label": mutate(rng, lines), "TREC_10.label": mutate(rng, lines)})


def newsgroups20(rng):
    post = b"From: a@b\nSubject: Re: tyres\nLines: 2\n\nWhich ones?\nThanks\n"
    if rng.random() < 0.5:
        posts = [
            {"split": split, "label": name, "text": post.decode()}
            for split in ("train", "test")
            for name in ("rec.autos", "sci.med")
        ]
        return "\n".join(map(json.dumps, posts)).encode(), ".jsonl"
    return archived(
        rng,
        {
            f"20news-bydate-{part}/{name}/{number}": mutate(rng, post)
            for part in ("train", "test")
            for number, name in enumerate(("rec.autos", "sci.med"))
        },
    )


def imdb(rng):
    cells = [(part, name) for part in ("train", "test") for name in ("pos", "neg")]
    if rng.random() < 0.5:
        reviews = [
            {"split": part, "label": name, "text": "Good.<br />Or so", "id": 0} for part, name in cells
        ]
        return mutate(rng, "\n".join(map(json.dumps, reviews)).encode()), ".jsonl"
    return archived(
        rng, {f"aclImdb/{part}/{name}/0_7.txt": mutate(rng, b"Good.<br />") for part, name in cells}
    )


KINDS = {
    "csv": ("tabular", delimited),
    "jsonl": ("tabular", json_lines),
    "parquet": ("tabular", parquet),
    "openfda": ("adme", label_records),
    "spl": ("adme", label_documents),
    "sst2": ("sst2", sst2),
    "trec": ("trec", trec),
    "newsgroups20": ("newsgroups20", newsgroups20),
    "imdb": ("imdb", imdb),
}


def mutate(rng, content):
    """Return the content with up to four changes; a fifth stays as it is."""
    content = bytearray(content)
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        at = rng.randrange(len(content) + 1)
        until = min(len(content), at + rng.choice((1, 1, 8, 64)))
        way = rng.randrange(7)
        if way == 0:
            content[at:at] = rng.choice(SPIKES)
        elif way == 1:
            content[at:until] = rng.choice(SPIKES)
        elif way == 2:
            del content[at:until]
        elif way == 3:
            del content[at:]
        elif way == 4:
            content[at:at] = content[at:until] * rng.choice((1, 2, 100))
        elif way == 5 and content:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        elif way == 6:
            content[at:until] = rng.randbytes(until - at)
    return bytes(content)


def table_options(rng):
    options = {"text": "text", "label": "label"}
    if rng.random() < 0.3:
        options |= {
            "text": rng.choice(("text", "0", "7", "lable")),
            "label": rng.choice(("label", "1", "2")),
        }
    for name, values in {
        "group": ("group", "2", "absent"),
        "split": ("split", "3"),
        "delimiter": (",", "tab", "xx", "\0", ";"),
        "quoting": ("double", "none", "single"),
        "encoding": ("utf-8", "latin-1", "utf-16", "cp037", "idna", "no-such", "base64", "utf-7"),
        "header": ("yes", "no", "maybe"),
    }.items():
        if rng.random() < 0.08:
            options[name] = rng.choice(values)
    return options


def feed(kind, seed, folder):
    """Read one input and return what came of it: ``"accepted"``, ``"refused"``, or the traceback of a crash."""
    rng = random.Random(f"{kind} {seed}")
    corpus_name, make = KINDS[kind]
    content, suffix = make(rng)
    content = mutate(rng, content)
    if rng.random() < 0.15:
        content, suffix = gzip.compress(content), suffix + ".gz"
        content = mutate(rng, content) if rng.random() < 0.3 else content
    path = folder / f"input{suffix}"
    path.write_bytes(content)
    options = table_options(rng) if corpus_name == "tabular" else {}
    try:
        corpus = read_corpus(corpus_name, str(path), **options)
        check(corpus)
        return "accepted"
    except ConfigurationError as error:
        message = str(error)
        if "input" not in message and "--" not in message:
            return f"the message names neither file nor option: {message}"
        try:
            message.encode()
        except UnicodeEncodeError:
            return f"the message cannot be printed: {message!r}"
        if "\0" in message or "\x1b" in message or len(message) > 20_000:
            return f"the message is not fit for a terminal: {message!r:.300}"
        return "refused"
    except Exception:  # what a fuzz run is for
        return traceback.format_exc()
    finally:
        path.unlink()


def check(corpus):
    """Raise AssertionError where a corpus breaks what readers promise."""
    about = describe(corpus)
    json.dumps(about).encode()
    assert len(corpus) == len(corpus.groups) == len(corpus.origins) == len(corpus.labels) > 0
    assert all(text.strip() and "\0" not in text for text in corpus.texts)
    assert set(corpus.labels.tolist()) <= set(range(len(corpus.classes)))
    "".join((*corpus.texts, *corpus.classes, *corpus.groups, *corpus.origins)).encode()


def run(inputs, seed=0, kinds=None):
    """Feed inputs to all kinds of readers in turn and return the figures."""
    counts = {kind: Counter() for kind in kinds or KINDS}
    crashes, slowest = [], 0.0
    folder = Path(tempfile.mkdtemp())
    start = time.perf_counter()
    try:
        for index in range(inputs):
            kind = list(counts)[index % len(counts)]
            begun = time.perf_counter()
            outcome = feed(kind, seed + index, folder)
            slowest = max(slowest, time.perf_counter() - begun)
            if outcome in ("accepted", "refused"):
                counts[kind][outcome] += 1
            else:
                counts[kind]["crashed"] += 1
                crashes.append({"kind": kind, "seed": seed + index, "what": outcome})
            if any(folder.iterdir()):
                crashes.append({"kind": kind, "seed": seed + index, "what": "something was left behind"})
                shutil.rmtree(folder)
                folder.mkdir()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "inputs": inputs,
        "crashes": crashes,
        "seconds": round(time.perf_counter() - start, 1),
        "slowest_s": round(slowest, 3),
        "kinds": {kind: dict(count) for kind, count in counts.items()},
    }


def main():
    parser = argparse.ArgumentParser(
        prog="python -m tests.trainables.corpora.fuzz_readers", description=__doc__
    )
    parser.add_argument("--inputs", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS))
    args = parser.parse_args()
    figures = run(args.inputs, args.seed, args.kinds)
    print(json.dumps(figures, indent=1))
    return 1 if figures["crashes"] else 0


if __name__ == "__main__":
    sys.exit(main())
