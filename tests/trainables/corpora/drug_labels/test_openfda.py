import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import ClassVar

import pytest

from tests.trainables.corpora.contract import ReaderContract
from tests.trainables.corpora.label_records import label, sample_labels, write_lines
from trainables.corpora.drug_labels import archives
from trainables.corpora.drug_labels import records as json_records
from trainables.corpora.drug_labels.headings import CLASSES, MIXED
from trainables.corpora.drug_labels.openfda import read_openfda, substance_group
from trainables.errors import ConfigurationError

SECTION = "Absorption Velorin peaks at 2 hours after a dose. Excretion Velorin leaves in urine within a day."
REAL = Path(__file__).parents[5] / "shared" / "data" / "openfda" / "labels_pk.jsonl.gz"


class TestContract(ReaderContract):
    classes = CLASSES
    bad_rows: ClassVar = {
        "label without a pharmacokinetics section": 1,
        "section without headings": 1,
        "mixed heading": 1,
        "too short": 1,
        "older version of a label": 1,
        "duplicate in the same group": 2,
    }

    def read(self, tmp_path):
        return read_openfda(
            write_lines(tmp_path / "labels.jsonl.gz", [*sample_labels(), label("velorin", SECTION)])
        )

    def read_reordered(self, tmp_path):
        records = [label("velorin", SECTION), *reversed(sample_labels())]
        return read_openfda(write_lines(tmp_path / "reordered.jsonl", records))

    def read_with_bad_rows(self, tmp_path):
        bad = [
            {"set_id": "empty", "openfda": {}},
            label("tanoprine", "Tanoprine is given once a day."),
            label("tanoprine", "Metabolism and Excretion It is oxidised and leaves in bile.", set_id="mixed"),
            label("tanoprine", "Distribution Unknown so far.", set_id="short"),
            label("velorin", "Absorption An old text about the uptake of Velorin.", version="0"),
            label("velorin", SECTION, set_id="a generic"),
        ]
        records = [*sample_labels(), label("velorin", SECTION), *bad]
        return read_openfda(write_lines(tmp_path / "dirty.jsonl", records))


def rows(corpus):
    return {(text, corpus.classes[index]) for text, index in zip(corpus.texts, corpus.labels, strict=True)}


def test_clinical_pharmacology_is_used_where_there_is_no_pharmacokinetics(tmp_path):
    chapter = (
        f"12.1 Mechanism of Action Velorin blocks a receptor in the brain. 12.3 Pharmacokinetics {SECTION}"
    )
    both = label(
        "tanoprine", "Metabolism Tanoprine is hydrolysed in the gut wall.", clinical_pharmacology=[chapter]
    )
    only = label("velorin", chapter, field="clinical_pharmacology")
    corpus = read_openfda(write_lines(tmp_path / "a.jsonl", [both, only]))
    assert rows(corpus) == {
        ("Tanoprine is hydrolysed in the gut wall.", "metabolism"),
        ("Velorin peaks at 2 hours after a dose.", "absorption"),
        ("Velorin leaves in urine within a day.", "excretion"),
    }
    assert corpus.left_out == {"not about pharmacokinetics": 1}


def test_the_newest_version_counts_wherever_it_stands(tmp_path):
    new = label("velorin", "Absorption The new text speaks of uptake.", version="2")
    old = label("velorin", "Absorption The old text speaks of uptake.", version="1")
    for name, records in (("a.jsonl", [new, old]), ("b.jsonl", [old, new])):
        corpus = read_openfda(write_lines(tmp_path / name, records))
        assert corpus.texts == ["The new text speaks of uptake."]
        assert corpus.left_out == {"older version of a label": 1}


def test_all_containers_give_the_same_corpus(tmp_path):
    records = [label("velorin", SECTION), label("tanoprine", SECTION.replace("Velorin", "Tanoprine"))]
    digest = read_openfda(write_lines(tmp_path / "lines.jsonl", records)).digest
    (tmp_path / "bulk.json").write_text(json.dumps({"meta": {}, "results": records}, indent=2))
    (tmp_path / "flat.json").write_text(json.dumps({"results": records}))
    with zipfile.ZipFile(tmp_path / "bulk.zip", "w") as archive:
        archive.write(tmp_path / "bulk.json", "drug-label-0001.json")
    assert {read_openfda(tmp_path / name).digest for name in ("bulk.json", "flat.json", "bulk.zip")} == {
        digest
    }

    folder = tmp_path / "parts"
    folder.mkdir()
    parts = [write_lines(folder / f"{i}.jsonl.gz", [record]) for i, record in enumerate(records)]
    assert read_openfda(folder).digest == read_openfda(parts).digest == digest


def test_the_origin_names_file_line_label_and_paragraph(tmp_path):
    corpus = read_openfda(
        write_lines(tmp_path / "some.jsonl", [label("x", "Nothing of use."), label("velorin", SECTION)])
    )
    assert corpus.origins[1] == "some.jsonl:2 set_id=set-velorin pharmacokinetics#2"


def test_the_same_text_of_two_substances_stays_in_one_group(tmp_path):
    text = "Excretion The kidneys remove the substance within a day."
    corpus = read_openfda(
        write_lines(tmp_path / "a.jsonl", [label("velorin", text), label("tanoprine", text)])
    )
    assert corpus.groups == ["tanoprine"] and corpus.left_out == {"duplicate in another group": 1}


def test_the_same_text_with_two_labels_is_dropped(tmp_path):
    body = "The substance is turned over within a day."
    records = [
        label("velorin", f"Excretion {body}"),
        label("tanoprine", f"Metabolism {body} Absorption It peaks at 2 h."),
    ]
    corpus = read_openfda(write_lines(tmp_path / "a.jsonl", records), minimum_words=1)
    assert corpus.texts == ["It peaks at 2 h."] and corpus.left_out == {"duplicate with another label": 2}


def test_mixed_paragraphs_can_be_kept(tmp_path):
    path = write_lines(
        tmp_path / "a.jsonl", [label("v", "Metabolism and Excretion It is oxidised and leaves in bile.")]
    )
    corpus = read_openfda(path, keep_mixed=True)
    assert corpus.classes == (*CLASSES, MIXED) and corpus.class_counts()[MIXED] == 1


def test_food_effect_is_a_setting(tmp_path):
    path = write_lines(
        tmp_path / "a.jsonl", [label("v", f"Effect of Food A heavy meal doubled the exposure. {SECTION}")]
    )
    assert read_openfda(path).class_counts()["absorption"] == 2
    assert read_openfda(path, food_effect="other").class_counts()["other"] == 1
    with pytest.raises(ConfigurationError, match="food_effect"):
        read_openfda(path, food_effect="none")


@pytest.mark.parametrize(
    ("openfda", "group"),
    [
        ({"substance_name": ["ZOLPRINE", "Velorin Sodium"]}, "velorin + zolprine"),
        ({"substance_name": ["VELORIN HYDROCHLORIDE MONOHYDRATE"]}, "velorin"),
        ({"substance_name": ["TORALIMAB-ABCD"]}, "toralimab"),
        ({"substance_name": ["SODIUM CHLORIDE"]}, "sodium"),
        ({"generic_name": ["Velorin and Zolprine"]}, "velorin and zolprine"),
        ({}, "unnamed s1"),
        (None, "unnamed s1"),
    ],
)
def test_groups_are_substances(openfda, group):
    assert substance_group({"set_id": "s1", "openfda": openfda}) == group


def test_a_record_without_any_identity_still_has_a_group():
    assert substance_group({"pharmacokinetics": ["a"]}) != substance_group({"pharmacokinetics": ["b"]})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b'{"set_id": "a"}\n\nnot json\n', "line 3: not JSON"),
        (b"PK of Velorin", "line 1: not JSON"),
        (b'{"set_id": "a"}\n[1, 2]\n', "line 2: expected a JSON object"),
        (b'{"results": [{"set_id": "a"}, 7]}', "record 2: expected a JSON object"),
        (b'{"results": [{"set_id": "a"}, {"set', "not JSON behind record 1"),
        (b'[{"set_id": "a"}, 1e]', "not JSON behind record 1"),
        (b'{"set_id": "a"}\n17\n', "line 2: expected a JSON object"),
        (b'{"set_id": "a", "openfda": {}}\n', "none of 1 records has a field pharmacokinetics"),
        (b'{"pharmacokinetics": ["No heading in here."]}\n', "no usable row"),
        (b"\x1f\x8b\x08\x00broken", "cannot be read"),
        (b"PK\x03\x04broken", "cannot be read"),
        (b'{"a": "\xff\xfe"}\n', "UTF-8"),
    ],
)
def test_bad_files_are_explained(tmp_path, content, message):
    path = tmp_path / "labels.jsonl"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_openfda(path)
    assert "labels.jsonl" in str(caught.value)


def test_all_missing_paths_are_named_at_once(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        read_openfda([tmp_path / "one.jsonl", tmp_path / "two.jsonl", tmp_path])
    assert len(caught.value.faults) == 3


@pytest.mark.skipif(not REAL.exists(), reason=f"the real label records are not at {REAL}")
def test_the_real_labels():
    corpus = read_openfda(REAL)
    counts = corpus.class_counts()
    assert len(corpus) >= 5500 and len(set(corpus.groups)) >= 600
    assert min(counts.values()) >= 500 and counts["other"] == max(counts.values())
    starts = tuple(f"{name.capitalize()}:" for name in CLASSES)
    assert not [text for text in corpus.texts if text.startswith((*starts, "12.3 "))]


def test_a_bulk_download_streams_with_flat_memory(tmp_path):
    """Ten times the records must not need more memory: the document is never held as a whole."""
    peaks = []
    for n in (300, 3000):
        padding = "x" * 20_000  # other fields of a label, 60 MB over all records
        records = (label(f"drug{i % 50}", SECTION, set_id=f"s{i % 50}", other=padding) for i in range(n))
        path = tmp_path / f"drug-label-0001-of-000{n // 300}.json.zip"
        with zipfile.ZipFile(path, "w") as archive, archive.open("drug-label.json", "w") as member:
            member.write(b'{\n  "meta": {"last_updated": "2024-01-01"},\n  "results": [\n')
            for i, record in enumerate(records):
                member.write((",\n" if i else "").encode() + json.dumps(record, indent=2).encode())
            member.write(b"\n]}")
        tracemalloc.start()
        assert len(read_openfda(path)) == 2
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(json_records, "MAX_LINE_BYTES", 1000)
    path = tmp_path / "a.jsonl"
    path.write_text('{"set_id": "a"}\n' + '{"set_id": "' + "b" * 2000 + '"}\n')
    with pytest.raises(ConfigurationError, match="line 2: longer than"):
        read_openfda(path)


def test_a_bomb_is_refused_by_its_declared_size(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_FREE_BYTES", 0)
    with zipfile.ZipFile(tmp_path / "a.json.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", " " * 10_000_000)
    with pytest.raises(ConfigurationError, match="decompression bomb"):
        read_openfda(tmp_path / "a.json.zip")
