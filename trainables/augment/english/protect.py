"""Which words no operator may touch: they carry a value, a name of a quantity, or the polarity of a sentence.

Everything that is not a plain word (see :func:`trainables.augment.english.words.parse`) is out of reach already:
numerals, codes with digits, compounds, addresses. This module adds what looks like a word and is not one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from trainables.augment.english.words import Word, ends_sentence, parse, split, word_set

NEGATIONS = word_set(
    "no not never none nothing nobody nor neither without cannot cant dont wont hardly barely scarcely"
)
NUMBER_WORDS = word_set(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand
    thousands million millions billion billions trillion dozen dozens half halves quarter quarters third thirds
    twice thrice once double doubled triple tripled single first second fourth fifth sixth seventh eighth ninth
    tenth fold times"""
)
UNITS = word_set(
    """percent percentage ppm microgram micrograms milligram milligrams gram grams kilogram kilograms mcg mg kg ng pg
    ml dl liter liters litre litres milliliter milliliters microliter millimeter millimeters centimeter
    centimeters meter meters metre metres kilometer kilometers mile miles inch inches foot feet pound pounds ounce
    ounces lb lbs ton tons tonnes barrel barrels unit units iu mol mmol nmol pmol nm mm cm km msec sec secs
    seconds min mins minute minutes hr hrs hour hours hourly day days daily week weeks weekly month months monthly
    year years yearly annual annually decade decades century centuries kcal calorie calories joule joules kda da
    rpm hz mhz ghz byte bytes kb mb gb cents dollar dollars dlrs mln bln pct yen degrees celsius fahrenheit monday
    tuesday wednesday thursday friday saturday sunday january february march april june july august september
    october november december jan feb mar apr jun jul aug sep sept oct nov dec
    today yesterday tomorrow tonight"""
)
FUNCTION_WORDS = word_set(
    """a an the this that these those such same other another each every either both all any some many much few
    several most more less least own i me my mine myself you your yours yourself he him his himself she her hers
    herself it its itself we us our ours ourselves they them their theirs themselves who whom whose which what
    whatever whoever whichever where when why how whether if unless until while whereas because since although
    though and or but so yet then than as of in on at by for from to into onto upon over under above below between
    among within during before after following against about around across along through throughout toward towards with
    via per near off out up down back again further only just also too very even still already always often sometimes
    ever rather quite almost else instead thus hence therefore however there here is am are was were be been being
    has have had having do does did doing done can could may might must shall should will would ought let get gets
    got versus except despite beyond behind beside besides like unlike"""
)
SUBSTANCES = word_set(
    """hydrogen helium lithium carbon nitrogen oxygen fluorine sodium magnesium aluminum aluminium silicon phosphorus
    sulfur sulphur chlorine potassium calcium chromium manganese iron cobalt nickel copper zinc arsenic selenium
    bromine strontium silver cadmium iodine barium tungsten platinum mercury uranium radium chloride hydrochloride
    sulfate sulphate phosphate nitrate carbonate bicarbonate acetate citrate oxide dioxide hydroxide fluoride
    bromide iodide"""
)
STATISTICS = word_set("""mean means median average averages maximum minimum max min range ranges""")
PROTECTED = NEGATIONS | NUMBER_WORDS | UNITS | STATISTICS | SUBSTANCES
# In the packaged encoder, and in WordNet, one of these is nearest to "urine".
COARSE = word_set(
    """pee piss pissed crap crappy shit shitty bullshit fuck fucked fucking damn damned bitch
    bastard ass asshole dick cock cunt whore slut tits piddle wee weewee turd poop dump dung"""
)
LATIN = word_set("vitro vivo situ")  # with the word before them they are one
_COLLOQUIAL = word_set(
    """gonna wanna gotta govt dept inc ltd llc corp nyc usa irs wwii olds combo mom dad kid kids oriental grownup
    grownups teen teens info showcased"""
)
NEVER_WRITTEN = COARSE | _COLLOQUIAL | PROTECTED | FUNCTION_WORDS

_SUBSCRIPTS = word_set("inf tau last ss lag obs int trough")
_GREEK = re.compile("[\u0370-\u03ff\u00b5]")
_ROMAN = re.compile(r"[IVXLC]+")
_NUMBERED = word_set(
    """table figure fig figures tables section sections phase grade class type group study part chapter stage cycle
    version step level question number no page equation"""
)
_REFERENCE_WORDS = 25  # a reference longer than this is a bracket that nobody closed


@dataclass(slots=True)
class SplitText:
    """A text, and where it may be changed.

    Attributes
    ----------
    pieces
        Tokens at even and white space at odd positions.
    n_words
        Tokens with at least one letter or digit.
    open
        Positions in ``pieces`` of plain words that are not protected.
    """

    pieces: list[str]
    n_words: int
    open: list[int]

    def word(self, position: int) -> Word:
        """Return the word at an open position."""
        word = parse(self.pieces[position])
        assert word is not None
        return word


class _Token(NamedTuple):
    """What can be said of a token without its neighbours."""

    word: Word | None
    has_alphanumeric: bool
    opens_bracket: str  # the closing bracket that it calls for, or nothing
    is_symbol: bool  # C, k, λ: the next word belongs to it
    in_capitals: bool
    is_subscript: bool  # of a symbol in capitals: AUC inf
    is_capitalised: bool
    ends_sentence: bool
    is_numbered: bool  # Table, Phase: protected before a numeral
    is_protected: bool


@lru_cache(maxsize=1 << 17)
def _classify(token: str) -> _Token:
    word = parse(token)
    core = "" if word is None else word.core
    return _Token(
        word,
        any(character.isalnum() for character in token),
        {"[": "]", "(": ")"}.get(token[:1], ""),
        is_symbol=len(core) == 1 and core not in "aAI" and token.endswith(core),
        in_capitals=len(core) > 1 and core.isupper(),
        is_subscript=core.lower() in _SUBSCRIPTS,
        is_capitalised=len(core) > 1 and core[0].isupper() and not core.isupper(),
        ends_sentence=ends_sentence(token),
        is_numbered=core.lower() in _NUMBERED,
        is_protected=word is None or _is_protected(core),
    )


def _is_protected(core: str) -> bool:
    if len(core) == 1:
        return core not in "aAI"
    if core.lower() in PROTECTED:
        return True
    if core.isupper():
        return bool(_ROMAN.fullmatch(core))
    if not core[1:].islower() and core[1:] != core[1:].lower():
        return True  # mRNA, iPhone, McDonald: a name or a code
    return len(core) <= 3 and bool(_GREEK.search(core))


def find_open_words(text: str) -> SplitText:
    """Split a text and find the words that an operator may change.

    Protected are, besides :data:`PROTECTED`: single letters and Greek symbols; the word after such a symbol
    (``C max``, ``t lag``), and a subscript after a word in capitals (``AUC inf``); words in capitals unless most
    of the text is (acronyms and brand names); words with capitals inside; capitalised words within a sentence
    unless most of the text is (names); a word that names a numbered thing (``Table 3``); and references in
    brackets (``[see Dosage (2.1)]``).

    Examples
    --------
    >>> found = find_open_words("The C max of 14C was 3 mg high [see Table 1].")
    >>> [found.word(i).core for i in found.open]
    ['The', 'of', 'was', 'high']
    """
    pieces = split(text)
    tokens = [_classify(token) for token in pieces[::2]]
    n_long = sum(token.word is not None and len(token.word.core) > 1 for token in tokens)
    shouting = 2 * sum(token.in_capitals for token in tokens) > n_long
    title = 2 * sum(token.is_capitalised for token in tokens) > n_long
    open_positions = []
    after_symbol, after_capitals, closing, left, at_start = False, False, "", 0, True
    for position, token in zip(range(0, len(pieces), 2), tokens, strict=True):
        was_after_symbol = after_symbol or (after_capitals and token.is_subscript)
        after_symbol, after_capitals = token.is_symbol, token.in_capitals
        was_at_start, at_start = at_start, token.ends_sentence or (at_start and not token.has_alphanumeric)
        if token.opens_bracket and not closing and _is_reference(pieces, position):
            closing, left = token.opens_bracket, _REFERENCE_WORDS
        if closing:
            left -= 1
            if closing in pieces[position] or not left:
                closing = ""
            continue
        if token.is_protected or was_after_symbol or (token.in_capitals and not shouting):
            continue
        if token.is_capitalised and not (was_at_start or title):
            continue
        if token.is_numbered and _starts_numeral(pieces, position + 2):
            continue
        open_positions.append(position)
    return SplitText(pieces, sum(token.has_alphanumeric for token in tokens), open_positions)


def _is_reference(pieces: list[str], position: int) -> bool:
    token = pieces[position]
    inside = token.lstrip("([") or "".join(pieces[position + 2 : position + 3])
    return token[0] == "[" or inside.lower() == "see"


def _starts_numeral(pieces: list[str], position: int) -> bool:
    return position < len(pieces) and pieces[position][:1].isdigit()
