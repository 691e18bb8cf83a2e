"""What is taken for the encoding of a file that does not say it, and that it is told."""

import pytest

from tests.trainables.corpora.tables import write
from trainables.corpora.own_tables.encodings import find_decoding
from trainables.corpora.registry import read_corpus
from trainables.errors import ConfigurationError

HEADER = "text,label\n" + "an ordinary line,a\n" * 20
TEXTS = {
    "pound": "Win a £30 prize now!",
    "degree": "it was 25°C outside",
    "quotes": "He said “well” – it’s fine… at the café",
    "french": "très déçu, l'emballage était abîmé, ça va où? à l'hôtel",
    "german": "Schöne Grüße aus Österreich, Äpfel und Straße",
    "portuguese": "A remessa não chegou, não há informações, coração e avó",
    "icelandic": "Það er mjög gott að þú komst, ég þakka fyrir",
    "names": "Zoë met François and Jürgen, Señor Núñez came too",
    "polish": "paczka przyszła za późno, źle się stało, więc żałuję, ćma i mańka",
    "czech": "Příliš žluťoučký kůň úpěl ďábelské ódy, děkuji",
    "hungarian": "túl későn érkezett, őszintén szólva, űrhajó és öröm",
    "turkish": "Paket çok geç geldi, ağır hasarlı, şikâyetçiyim, İstanbul ışık",
    "lithuanian": "per vėlai, esu labai nusivylęs, ačiū, žąsis, šūnys, įdomu",
    "russian": "Посылка пришла слишком поздно, я очень разочарован. Спасибо за всё",
    "greek": "Το δέμα έφτασε πολύ αργά, είμαι πολύ απογοητευμένος",
    "hebrew": "החבילה הגיעה מאוחר מדי ואני מאוכזב מאוד",
    "arabic": "وصلت الحزمة متأخرة جدا وأنا محبط للغاية",
    "thai": "พัสดุมาถึงช้าเกินไป ฉันผิดหวังมาก",
    "japanese": "荷物が届くのが遅すぎて、とてもがっかりしました。ありがとう",
    "chinese": "包裹到得太晚了我非常失望谢谢大家的帮助",
    "korean": "소포가 너무 늦게 도착해서 매우 실망했습니다",
}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *((text, "cp1252") for text in ("pound", "degree", "quotes", "french", "german", "portuguese")),
        ("icelandic", "cp1252"),
        ("names", "cp1252"),
        ("polish", "cp1250"),
        ("czech", "cp1250"),
        ("czech", "iso8859_2"),
        ("hungarian", "cp1250"),
        ("turkish", "cp1254"),
        ("lithuanian", "cp1257"),
        ("russian", "cp1251"),
        ("russian", "koi8_r"),
        ("russian", "iso8859_5"),
        ("russian", "cp866"),
        ("russian", "mac_cyrillic"),
        ("greek", "cp1253"),
        ("hebrew", "cp1255"),
        ("arabic", "cp1256"),
        ("thai", "cp874"),
        ("japanese", "shift_jis"),
        ("japanese", "euc_jp"),
        ("chinese", "gbk"),
        ("korean", "euc_kr"),
        ("french", "mac_roman"),
        ("quotes", "mac_roman"),
        ("german", "cp850"),
        ("pound", "cp850"),
    ],
)
def test_the_encoding_is_guessed_and_told(tmp_path, text, encoding):
    content = (TEXTS[text] + "\n").encode(encoding) * 5
    decoding = find_decoding(write(tmp_path / "a.csv", HEADER.encode() + content))
    assert content.decode(decoding.encoding) == (TEXTS[text] + "\n") * 5
    assert decoding.encoding in decoding.remark and "line 22" in decoding.remark
    assert TEXTS[text][:20] in decoding.remark and "--encoding" in decoding.remark


def test_one_accent_in_the_last_line_of_a_large_file_decides(tmp_path):
    content = b"text,label\n" + b"an ordinary line of a large file,a\n" * 70_000 + b"na\xefve,b\n"
    decoding = find_decoding(write(tmp_path / "a.csv", content))
    assert decoding.encoding == "cp1252" and "line 70002 then reads “naïve,b”" in decoding.remark


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_nothing_is_told_of_what_is_certain(tmp_path, encoding):
    decoding = find_decoding(write(tmp_path / "a.csv", (HEADER + TEXTS["french"]).encode(encoding)))
    assert decoding.remark == ""


@pytest.mark.parametrize("text", ["german", "chinese"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark(tmp_path, text, encoding):
    content = ("text,label\n" + (TEXTS[text] + ",a\n") * 9).encode(encoding)
    decoding = find_decoding(write(tmp_path / "a.csv", content))
    assert decoding.encoding == encoding and "line 2 then reads" in decoding.remark


def test_stray_zero_bytes_do_not_make_a_file_utf_16(tmp_path):
    content = HEADER.replace("ordinary", "ordin\0ry").encode()
    assert find_decoding(write(tmp_path / "a.csv", content)).encoding == "utf-8"


def test_what_the_user_names_is_taken_and_not_told(tmp_path):
    rows = "".join(f"Łódź {i},{'ab'[i % 2]}\n" for i in range(9))
    path = write(tmp_path / "a.csv", ("text,label\n" + rows).encode("cp1250"))
    corpus = read_corpus("tabular", str(path), text="text", label="label", encoding="cp1250")
    assert all("Łódź" in text for text in corpus.texts) and corpus.remarks == ()


def test_rows_with_broken_bytes_are_left_out_of_utf_8(tmp_path):
    rows = [f"café {i},{'ab'[i % 2]}\n".encode("latin-1" if i == 5 else "utf-8") for i in range(9)]
    path = write(tmp_path / "a.csv", b"text,label\n" + b"".join(rows))
    corpus = read_corpus("tabular", str(path), text="text", label="label")
    assert len(corpus) == 8 and corpus.left_out == {"broken character": 1}
    assert "one line has bytes that are not (line 7 is the first)" in corpus.remarks[0]
    assert "the first at a.csv:7" in corpus.remarks[1]


def test_half_utf_8_and_half_something_else_is_refused(tmp_path):
    rows = [f"café {i},{'ab'[i % 2]}\n".encode("latin-1" if i % 2 else "utf-8") for i in range(8)]
    with pytest.raises(ConfigurationError, match=r"a\.csv, line 3: not UTF-8, but other lines are"):
        find_decoding(write(tmp_path / "a.csv", b"text,label\n" + b"".join(rows)))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04etc", "zip archive or a spreadsheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "older Excel"),
        (b"%PDF-1.4\n", "PDF"),
        (b"\x28\xb5\x2f\xfdetc", "zstd"),
        (b"BZh91AY&SYetc", "bzip2"),
        (b"\xfd7zXZ\0", "packed by xz"),
        (b"SQLite format 3\0", "SQLite"),
        (b"ARROW1\0\0", "Arrow or Feather"),
        (b"\x80\x04\x95etc", "pickle"),
    ],
)
def test_a_file_that_is_no_table_is_called_what_it_is(tmp_path, content, what):
    with pytest.raises(ConfigurationError, match=rf"a\.csv: this is .*{what}"):
        find_decoding(write(tmp_path / "a.csv", content))
