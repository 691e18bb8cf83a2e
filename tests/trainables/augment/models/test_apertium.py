import os
import subprocess
import sys
import time

import pytest

from tests.trainables.augment import fake_apertium
from trainables.augment.models import tagger_without_memory
from trainables.augment.models.apertium import (
    ApertiumTranslator,
    covered,
    escaped,
    installed,
    pipe_of,
    tidied,
    version_of,
)
from trainables.errors import ConfigurationError, TrialFailed

needs_apertium = pytest.mark.skipif(
    not {"eng-spa", "spa-eng", "eng-cat", "cat-eng"} <= set(installed().modes),
    reason="Apertium is not installed here with its pairs for Spanish and Catalan",
)


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """The file that names every start of a fake Apertium's filter."""
    log = fake_apertium.install(tmp_path)
    fake_apertium.use(monkeypatch, tmp_path)
    return log


@pytest.fixture
def translator(fake):
    """One that goes from English into a fake Spanish, and is closed at the end."""
    made = ApertiumTranslator("eng-spa", silence_s=20)
    yield made
    made.process.close()


def translate(translator, *sentences):
    return translator.translate(sentences, range(len(sentences)))


def test_sentences_come_back_in_order_from_one_process(translator, fake):
    assert translate(translator, "it left.", "the drug", "it left.") == [
        "itos leftos.",
        "theos drugos",
        "itos leftos.",
    ]
    assert translate(translator, "the drug was", "the drug") == ["theos drugos wasos", "theos drugos"]
    assert fake.read_text().split() == ["eng-spa"]


def test_more_than_any_pipe_holds_goes_through_at_once(translator):
    sentences = [f"the drug number{i} was rapidly absorbed and it left the house" for i in range(5_000)]
    assert translate(translator, *sentences)[-1].startswith("theos drugos number4999 wasos")
    assert translate(translator, " ".join(["drug"] * 20_000))[0].count("drugos") == 20_000


def test_a_sentence_that_kills_the_process_is_cornered_and_the_others_are_translated(translator, fake):
    sentences = [f"drug {'die' if i in (3, 11) else 'left'} {i}" for i in range(20)]
    made = translate(translator, *sentences)
    assert [i for i, text in enumerate(made) if text is None] == [3, 11]
    assert made[19] == "drugos leftos 19"
    assert len(fake.read_text().split()) < 20
    assert translate(translator, "house") == ["houseos"]


@pytest.mark.parametrize("word", ["hang", "double"])
def test_one_that_silences_it_or_comes_twice_is_cornered_too(fake, word):
    translator = ApertiumTranslator("eng-spa", silence_s=0.5)
    assert translate(translator, "the drug", f"the {word}", "it left") == [
        "theos drugos",
        None,
        "itos leftos",
    ]
    translator.process.close()


def test_a_process_that_was_killed_is_started_again(translator, fake):
    translate(translator, "it")
    translator.process._process.kill()
    translator.process._process.wait()
    assert translate(translator, "drug") == ["drugos"]
    assert len(fake.read_text().split()) == 2


def test_one_that_never_answers_fails_the_trial_with_what_it_said(tmp_path, monkeypatch):
    fake_apertium.install(tmp_path, before="sys.exit('dictionary is broken')")
    fake_apertium.use(monkeypatch, tmp_path)
    with pytest.raises(TrialFailed, match=r"eng-spa.*dictionary is broken.*Try"):
        translate(ApertiumTranslator("eng-spa"), "the drug")


def test_what_cannot_be_sent_is_left_alone(translator):
    assert translate(translator, "the \ud800 drug", "the \0 drug", "drug") == [None, None, "drugos"]


def test_no_process_outlives_its_translator_or_the_interpreter(fake):
    translator = ApertiumTranslator("eng-spa")
    translate(translator, "it")
    process = translator.process._process
    del translator
    assert process.wait(5) is not None
    script = (
        "import sys\nfrom trainables.augment.models.apertium import ApertiumTranslator\n"
        "t = ApertiumTranslator('eng-spa')\nt.translate(['it'], [0])\nprint(t.process._process.pid)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    for _ in range(50):
        if not os.path.exists(f"/proc/{done.stdout.strip()}"):  # noqa: PTH110
            break
        time.sleep(0.1)
    assert not os.path.exists(f"/proc/{done.stdout.strip()}")  # noqa: PTH110


@pytest.mark.parametrize(
    "sentence",
    [
        "[see Table 1] {x} <b> ^a$ b/c \\ d @home ~5 *star #1 +2",
        "100% \\",
        "a_b & c | d",
        "µg ≥ “x” – 😀",
        "[",
        "]^$",
    ],
)
def test_signs_of_its_own_format_pass_through(translator, fake, sentence):
    back = ApertiumTranslator("spa-eng")
    assert translate(back, *translate(translator, sentence)) == [sentence]
    back.process.close()


@pytest.mark.parametrize(
    ("block", "source", "made"),
    [
        ("La droga .[]", "The drug.", "La droga."),
        ("Absorbed.[]", "absorbed", "absorbed"),
        ("CYP3A4 Left.[]", "CYP3A4 left", "CYP3A4 left"),
        ("The Spanish House.[]", "The house of Spain", "The Spanish House"),
        ("it left.[]", "It left.", "It left."),
        ("It left.[]", "It left.", "It left."),
        ("It left[]", "It left!", "It left!"),
        ("HELLO The world.[]", "HELLO WORLD", "HELLO THE WORLD"),
        ("a  b.[]", "a\tb", "a\tb"),
        ("mRNA b.[]", "mRNA a", "mRNA b"),
        ("x , y (z ).[]", "x, y (z)", "x, y (z)"),
        ("5 % x.[]", "5 % y", "5 % x"),
        (".[]", "word", ""),
    ],
)
def test_casing_spacing_and_marks_are_the_sources(block, source, made):
    assert tidied(block.replace("[]", "") + ".[]" if block == "It left[]" else block, source) == made


@pytest.mark.parametrize(
    ("sentence", "block"),
    [
        ("5 mg/L  [see\tTable 1] ~6", "5 mg\\/L [\\[see Table 1\\]] [~]6.[]"),
        ("a (see Use (8.7) ) b (c)", "a [(see Use (8.7) )] b (c).[]"),
        ("[odd (see x", "\\[odd (see x.[]"),
        ("The mean half-life; single-dose, 5-mg", "The meanqxq halfqxqlife; singleqxqdose, 5-mg.[]"),
        ("meaning t-max-2", "meaning t-max-2.[]"),
    ],
)
def test_escaping(sentence, block):
    assert escaped(covered(sentence)) == block


def test_references_compounds_and_statistics_are_left_alone(translator, fake):
    back = ApertiumTranslator("spa-eng")
    sentence = "Mean steady-state was [see Use (8.7)] rapidly left (see the drug)."
    assert translate(translator, sentence) == [
        "Meanqxq steadyqxqstate wasos [see Use (8.7)] rapidlyos leftos (see the drug)."
    ]
    assert translate(back, *translate(translator, sentence)) == [sentence.replace("rapidly", "quickly")]
    back.process.close()


def test_the_pipe_flushes_hides_marks_and_forgets():
    pipe = pipe_of(
        "lt-proc -w 'a.bin' | apertium-tagger -g $2 'b.prob' | apertium-tagger -gx 'c' | lt-proc $1 'd'\n"
    )
    stages = pipe.split(" | ")
    assert stages[0] == "lt-proc -z -w 'a.bin'"
    assert stages[1].endswith("tagger_without_memory.py apertium-tagger -z -d -g 'b.prob'")
    assert stages[2:] == ["apertium-tagger -z -gx 'c'", "lt-proc -z -n 'd'"]


def test_a_tagger_that_would_carry_something_over_is_replaced(tmp_path):
    fake = tmp_path / "tagger.py"
    fake.write_text(
        "import os, sys\nseen = b''\n"
        "while got := os.read(0, 1 << 20):\n"
        "    for block in got.split(b'\\0')[:-1]:\n"
        "        if b'new' in block:\n            os.write(2, b'New ambiguity class: {A}')\n"
        "        os.write(1, seen + block + b'\\0')\n"
        "        seen = block if b'new' in block else seen\n"
    )
    command = [sys.executable, tagger_without_memory.__file__, sys.executable, str(fake)]
    done = subprocess.run(command, input=b"a\0new\0b\0c\0", capture_output=True, check=True, timeout=60)
    assert done.stdout == b"a\0new\0b\0c\0"
    fake.write_text("import sys\nsys.exit('broken')")
    done = subprocess.run(command, input=b"a\0", capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert b"broken" in done.stderr


def test_versions_name_program_and_data(fake, tmp_path, monkeypatch):
    program, mode = version_of(["eng-spa"])
    assert program == "Apertium 0.0.1"
    assert mode.startswith("eng-spa:")
    assert version_of(["eng-cat"])[1] != mode
    (tmp_path / "spa.bin").write_text("2")
    file = installed().modes["eng-spa"]
    os.utime(file, ns=(0, 1))  # an installation writes the mode's file too
    assert version_of(["eng-spa"])[1] != mode
    with pytest.raises(ConfigurationError, match="eng-fra"):
        version_of(["eng-fra"])
    fake_apertium.use(monkeypatch, None)
    assert installed().modes == {}
    with pytest.raises(ConfigurationError, match="not installed"):
        ApertiumTranslator("eng-spa")


REAL = [
    "The drug is rapidly absorbed after oral administration.",
    "Peak plasma concentrations of 12.5 mg/L [see Table 1] were reached at 3 h.",
    "it was excreted, not metabolized",
    "Approximately 94% of the dose (~5 mg; <b>) is bound to α1-acid glycoprotein & {albumin} at 0.1^2 $5 \\ @.",
    "Dose adjustment of CYP3A4 substrates may be known near the dose included.",
]


@needs_apertium
@pytest.mark.parametrize("pair", ["spa", "cat"])
def test_the_real_one_translates_there_and_back(pair):
    forward, backward = ApertiumTranslator(f"eng-{pair}"), ApertiumTranslator(f"{pair}-eng")
    there = translate(forward, *REAL)
    back = translate(backward, *there)
    assert all(there) and all(back)
    assert all(a != b != c for a, b, c in zip(REAL, there, back, strict=True))
    assert "12.5 mg/L [" in back[1] and back[1].endswith("3 h.")
    assert back[2][0].islower() and not back[2].endswith(".")
    for sign in ("94%", "(~5 mg; <b>)", "{", "0.1^2 $5 \\ @."):
        assert sign in back[3]
    for translator in (forward, backward):
        translator.process.close()


@needs_apertium
def test_the_real_one_remembers_no_earlier_sentence():
    # Each of the latter has a word whose set of analyses its tagger never learned, and takes for the last one it met.
    sentences = [
        "En home, la dosi era 44% més baixa.",
        "Myfortic hauria de ser dut en un estómac buit.",
        "No va afectar la farmacocinètica d'una dosi de 1.5 mg quan era com un home.",
    ]
    made = []
    for order in (sentences, sentences[::-1], sentences[1:] + sentences[:1]):
        translator = ApertiumTranslator("cat-eng")
        made.append(dict(zip(order, translate(translator, *order), strict=True)))
        translator.process.close()
    assert made[0] == made[1] == made[2]
