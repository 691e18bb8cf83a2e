import io
import zipfile
from pathlib import Path
from typing import ClassVar

import pytest

from tests.trainables.corpora.contract import ReaderContract
from tests.trainables.corpora.label_records import HEADINGS
from tests.trainables.corpora.spl_documents import (
    CHAPTER,
    UNCLASSIFIED,
    bold,
    document,
    ingredient,
    p,
    pk,
    section,
    underlined,
    write,
    zipped,
)
from trainables.corpora.drug_labels import archives, spl
from trainables.corpora.drug_labels.headings import CLASSES, MIXED
from trainables.corpora.drug_labels.sample import generate_sample
from trainables.corpora.drug_labels.spl import read_spl
from trainables.corpora.registry import read_corpus
from trainables.errors import ConfigurationError

REAL = Path(__file__).parents[5] / "shared" / "data" / "spl"
TWO = p(bold("Absorption:") + " Velorin peaks at 2 hours after a dose.") + p(
    bold("Excretion:") + " Velorin leaves in urine within a day."
)


def sample_documents():
    """Return one label a drug of the generated sample, by file name."""
    corpus = generate_sample(300)
    bodies = {}
    for text, index, drug in zip(corpus.texts, corpus.labels, corpus.groups, strict=True):
        opening = p(bold("Absorption:") + " Taken up within one hour or so.")
        text = text.replace("&", "&amp;").replace("<", "&lt;")
        body = p(underlined(HEADINGS[corpus.classes[index]]) + "<br/>" + text)
        bodies[drug] = bodies.get(drug, opening) + body
    return {f"{drug}.xml": document(pk(body), drug=drug) for drug, body in bodies.items()}


class TestContract(ReaderContract):
    classes = CLASSES
    bad_rows: ClassVar = {
        "label without a pharmacokinetics section": 1,
        "section without headings": 2,
        "mixed heading": 1,
        "unclear heading": 1,
        "too short": 1,
        "older version of a label": 1,
        "duplicate in the same group": 2,
    }

    def documents(self):
        return {**sample_documents(), "velorin.xml": document(pk(TWO))}

    def folder(self, path, documents):
        path.mkdir(exist_ok=True)
        for name, xml in documents.items():
            write(path / name, xml)
        return path

    def read(self, tmp_path):
        return read_spl(self.folder(tmp_path / "labels", self.documents()))

    def read_reordered(self, tmp_path):
        documents = list(reversed(self.documents().items()))
        nested = {
            f"rx/{i:04}.zip": zipped({name: xml, "a.jpg": b"."}) for i, (name, xml) in enumerate(documents)
        }
        (tmp_path / "release.zip").write_bytes(zipped(nested))
        return read_spl(tmp_path / "release.zip")

    def read_with_bad_rows(self, tmp_path):
        bad = {
            "none.xml": document(section(p("Take one."), code="34067-9"), drug="tanoprine"),
            "headless.xml": document(pk(p("Nothing is bold.") + p("Nor here.")), set_id="headless"),
            "mixed.xml": document(pk(p(bold("Metabolism and Excretion")) + p("It is oxidised in bile.")), set_id="m"),
            "unclear.xml": document(
                pk(p(bold("Absorption")) + p("Unknown so far.") + p(bold("Odd Loop")) + p("It loops.")), set_id="u"),
            "old.xml": document(pk(p(bold("Absorption:") + " An old text about the uptake.")), version=0),
            "generic.xml": document(pk(TWO), set_id="a generic"),
        }  # fmt: skip
        return read_spl(self.folder(tmp_path / "dirty", {**self.documents(), **bad}))


def rows(corpus):
    return [(text, corpus.classes[index]) for text, index in zip(corpus.texts, corpus.labels, strict=True)]


def test_clinical_pharmacology_counts_where_there_is_no_pharmacokinetics_section(tmp_path):
    chapter = section(p(bold("Pharmacokinetics")) + TWO, code=CHAPTER, title="CLINICAL PHARMACOLOGY")
    only = read_spl(write(tmp_path / "a.xml", document(chapter)))
    assert sorted(label for _, label in rows(only)) == ["absorption", "excretion"]
    inner = pk(p(bold("Metabolism:") + " Velorin is hydrolysed in the gut wall."))
    both = read_spl(write(tmp_path / "b.xml", document(section(TWO, code=CHAPTER, nested=[inner]))))
    assert rows(both) == [("Velorin is hydrolysed in the gut wall.", "metabolism")]
    empty = section("", code="43682-4", title="12.3 Pharmacokinetics")
    assert rows(read_spl(write(tmp_path / "c.xml", document(empty, chapter)))) == rows(only)


def test_origins_name_file_label_section_and_paragraph(tmp_path):
    inner = zipped({"labels/abc.xml": document(pk(TWO))})
    path = tmp_path / "release.zip"
    path.write_bytes(zipped({"prescription/x.zip": inner}))
    assert read_spl(path).origins == [
        "release.zip!prescription/x.zip!labels/abc.xml set_id=set-velorin 43682-4#1",
        "release.zip!prescription/x.zip!labels/abc.xml set_id=set-velorin 43682-4#2",
    ]


@pytest.mark.parametrize(
    ("ingredients", "group"),
    [
        (ingredient("VELORIN SODIUM", "VELORIN"), "velorin"),
        (ingredient("Velorin hydrochloride"), "velorin"),
        (ingredient("B", "Zolprine") + ingredient("A", "Velorin", "ACTIM"), "velorin + zolprine"),
        (ingredient("Salt of it", "Toralimab-abcd", "ACTIR"), "toralimab"),
        ("<activeIngredient><activeIngredientSubstance><name>velorin</name></activeIngredientSubstance>"
         "</activeIngredient>", "velorin"),
        ("<genericMedicine><name>Velorin tablets</name></genericMedicine>", "velorin tablets"),
        ("", "tanex"),
    ],
)  # fmt: skip
def test_groups_are_active_moieties(tmp_path, ingredients, group):
    xml = document(pk(TWO), drug="Tan", ingredients=ingredients)
    assert set(read_spl(write(tmp_path / "a.xml", xml)).groups) == {group}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_encodings(tmp_path, encoding):
    xml = document(pk(p(bold("Absorption:") + " Die Aufnahme dauert für Velorin ± 2 h."))).replace(
        "UTF-8", encoding.removesuffix("-sig")
    )
    (tmp_path / "a.xml").write_bytes(xml.encode(encoding))
    assert read_spl(tmp_path).texts == ["Die Aufnahme dauert für Velorin ± 2 h."]


def test_a_document_without_a_namespace(tmp_path):
    assert len(read_spl(write(tmp_path / "a.xml", document(pk(TWO), namespace=False)))) == 2


def test_mixed_paragraphs_can_be_kept(tmp_path):
    xml = document(pk(p(bold("Absorption and Distribution")) + p("It reaches blood and tissue quickly.")))
    corpus = read_spl(write(tmp_path / "a.xml", xml), keep_mixed=True)
    assert corpus.class_counts()[MIXED] == 1


GOOD = document(pk(TWO))
BOMB = '<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("", "line 1: not well-formed"),
        (GOOD[: len(GOOD) // 2], "line 2: not well-formed"),
        (GOOD.replace("<text>", "<text>&nbsp;", 1), "line 2: not well-formed.*entity"),
        (GOOD.replace("peaks", "\0"), "line 2: not well-formed"),
        (GOOD.replace("\n", "\n" + BOMB, 1), "refused"),
        (GOOD.replace("\n", '\n<!DOCTYPE document SYSTEM "http://127.0.0.1:9/x.dtd">', 1), "refused"),
        (GOOD.replace("\n", '\n<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/hostname">]>', 1), "refused"),
        (GOOD.replace("UTF-8", "no-such-code"), "cannot be decoded|not well-formed"),
        (GOOD.replace("<text>", "<text>" + "<content>" * 9000, 1), "nested deeper"),
        ("<html><body/></html>", "root element is <html>"),
        (document(section(p("Take one."))), "none of 1 labels has a section"),
        (document(pk(p("No heading at all."))), "no usable row"),
    ],
)
def test_bad_documents_are_explained(tmp_path, xml, message):
    write(tmp_path / "label.xml", xml)
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_spl(tmp_path / "label.xml")
    assert "label.xml" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.xml", "<document>"),
        ("a.xml", "<other/>"),
        ("a.xml", ""),
        ("a.xml", GOOD.replace("\n", "\n" + BOMB, 1)),
        ("a.zip", zipped({"1.xml": "<html/>"})),
    ],
)
def test_what_is_no_label_is_passed_over_and_told(tmp_path, name, content):
    expected = read_spl(write(tmp_path / "b.xml", GOOD))
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    corpus = read_spl(tmp_path)
    assert corpus.digest == expected.digest and expected.remarks == ()
    assert corpus.left_out[spl.NOT_A_LABEL] == 1
    (remark,) = corpus.remarks
    assert remark.startswith("One document was passed over") and name in remark and str(tmp_path) in remark
    assert read_corpus("adme", str(tmp_path)).remarks == corpus.remarks


def test_where_nothing_is_left_the_folder_and_all_faults_are_named(tmp_path):
    for n in range(30):
        write(tmp_path / f"{n:02}.xml", "<document>" if n % 2 else "<other/>")
    with pytest.raises(ConfigurationError, match="root element is <other>") as caught:
        read_spl(tmp_path)
    faults = caught.value.faults
    assert faults[0].startswith(f"{tmp_path} (30 files): 00.xml: the root element")
    assert faults[1].startswith("01.xml, line 1") and faults[-1] == "… and 10 more faults."


def test_an_archive_that_cannot_be_read_to_its_end_is_refused_with_the_folder(tmp_path):
    write(tmp_path / "b.xml", GOOD)
    write(tmp_path / "c.xml", "<other/>")
    (tmp_path / "a.zip").write_bytes(zipped({"1.xml": GOOD, "../2.xml": GOOD}))
    with pytest.raises(ConfigurationError, match="leaves the archive") as caught:
        read_spl(tmp_path)
    assert len(caught.value.faults) == 2 and str(tmp_path) in str(caught.value)


def test_a_doctype_that_declares_nothing_is_passed(tmp_path):
    plain = read_spl(write(tmp_path / "a.xml", GOOD))
    with_doctype = GOOD.replace("\n", "\n<!DOCTYPE document>\n", 1)
    assert read_spl(write(tmp_path / "a.xml", with_doctype)).digest == plain.digest
    with pytest.raises(ConfigurationError, match=r"not well-formed.*undefined entity"):
        read_spl(write(tmp_path / "a.xml", with_doctype.replace("<text>", "<text>&nbsp;", 1)))


@pytest.mark.parametrize(
    "title",
    [
        "12.3 Pharmacokinetics",
        "12.3Pharmacokinetics",
        "PHARMACOKINETICS:",
        "12.3 Pharmacokinetics and Metabolism",
    ],
)
@pytest.mark.parametrize("code", [UNCLASSIFIED, ""])
def test_a_pharmacokinetics_section_without_a_code_of_its_own_is_found(tmp_path, title, code):
    outside = section(TWO, code=code, title=title)
    expected = rows(read_spl(write(tmp_path / "a.xml", document(pk(TWO)))))
    assert rows(read_spl(write(tmp_path / "a.xml", document(outside)))) == expected
    chapter = section("", code=CHAPTER, title="12 CLINICAL PHARMACOLOGY", nested=[
        section(p("It blocks a receptor of some kind."), title="12.1 Mechanism of Action"),
    ])  # fmt: skip
    corpus = read_spl(write(tmp_path / "a.xml", document(chapter, outside)))
    assert rows(corpus) == expected and UNCLASSIFIED in corpus.origins[0]
    # Inside a chapter it counts once, and beside a section with the right code not at all.
    inside = section("", code=CHAPTER, title="12 CLINICAL PHARMACOLOGY", nested=[outside])
    assert rows(read_spl(write(tmp_path / "a.xml", document(inside)))) == expected
    other = section(p(bold("Metabolism:") + " Another text of some five words."), title=title)
    assert rows(read_spl(write(tmp_path / "a.xml", document(pk(TWO), other)))) == expected


def test_a_chapter_without_a_code_of_its_own_is_found_and_other_titles_are_not(tmp_path):
    expected = rows(read_spl(write(tmp_path / "a.xml", document(pk(TWO)))))
    chapter = section(
        "", title="12 Clinical Pharmacology", nested=[section(TWO, title="12.3 Pharmacokinetics")]
    )
    assert rows(read_spl(write(tmp_path / "a.xml", document(chapter)))) == expected
    for title in ("7.1 Pharmacokinetic Interactions", "13.2 Animal Pharmacokinetics", "112.3 Things"):
        with pytest.raises(ConfigurationError, match="none of 1 labels has a section"):
            read_spl(write(tmp_path / "a.xml", document(section(TWO, title=title))))


def encrypted_zip():
    content = bytearray(zipped({"a.xml": GOOD}))
    content[6] |= 1  # the flag of the member's own header, then that of the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped({"../a.xml": GOOD}), "leaves the archive"),
        (zipped({"/etc/a.xml": GOOD}), "leaves the archive"),
        (zipped({"a.xml": GOOD})[:-30], "cannot be unpacked"),
        (zipped({"a.zip": b"PK\x03\x04 nothing"}), "cannot be unpacked"),
        (zipped({"1.zip": zipped({"2.zip": zipped({"3.zip": zipped({"a.xml": GOOD})})})}), "deeper than 3"),
        (encrypted_zip(), "encrypted"),
        (zipped({"readme.txt": b"nothing"}), "none of 0 labels"),
    ],
)
def test_bad_archives_are_explained(tmp_path, content, message):
    path = tmp_path / "labels.zip"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        read_spl(path)
    assert list(tmp_path.iterdir()) == [path]


def test_decompression_bombs_are_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_DOCUMENT_BYTES", 2 << 20)
    path = tmp_path / "bomb.zip"
    path.write_bytes(zipped({"a.xml": b" " * (archives.MAX_DOCUMENT_BYTES + 1)}))
    with pytest.raises(ConfigurationError, match="larger than 2 MB"):
        read_spl(path)
    monkeypatch.setattr(archives, "_FREE_BYTES", 1 << 20)
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(40):
            archive.writestr(f"{i}.xml", GOOD + " " * (1 << 20))
    path.write_bytes(many.getvalue())
    with pytest.raises(ConfigurationError, match="decompression bomb"):
        read_spl(path)


def test_adme_tells_xml_from_json_by_content(tmp_path):
    (tmp_path / "one").write_bytes(("\ufeff" + GOOD).encode())
    (tmp_path / "two.zip").write_bytes(zipped({"x.zip": zipped({"a.xml": GOOD})}))
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder / "LABEL.XML", GOOD)
    digests = {read_corpus("adme", str(tmp_path / name)).digest for name in ("one", "two.zip", "folder")}
    assert len(digests) == 1
    (folder / "labels.jsonl").write_text("{}")
    with pytest.raises(ConfigurationError, match="both"):
        read_corpus("adme", str(folder))


@pytest.mark.skipif(not REAL.exists(), reason=f"the real labels are not at {REAL}")
def test_the_real_labels():
    """Per file what a reader of the XML finds below headings; Humira has none, three have no section to use."""
    four = dict.fromkeys(("absorption", "distribution", "metabolism", "excretion"), 1)
    expected = {
        "akirti_car.xml": {},
        "akirti_response.xml": {"other": 7, "mixed": 6},
        "laslabs_spl_doc_1.xml": {},
        "medrecpro_test.xml": four | {"other": 8},
        "openfda_64f8040f_viagra.xml": {"other": 20, "mixed": 4},
        "openfda_cough.xml": {},
        "openfda_humira.xml": {},
        "openfda_lipitor-orig.xml": four | {"other": 6},
    }  # fmt: skip
    corpus = read_spl(REAL, keep_mixed=True)
    found = {name: {} for name in expected}
    for label, origin in zip(corpus.labels, corpus.origins, strict=True):
        counts = found[origin.split(" ")[0]]
        counts[corpus.classes[label]] = counts.get(corpus.classes[label], 0) + 1
    assert found == expected
    assert corpus.left_out[spl.NO_SECTION] == 2
