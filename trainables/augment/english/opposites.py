"""Words that stand close together in an embedding space and may not replace each other.

Distributional neighbours share contexts, and antonyms share them best: in the packaged encoder *increased* and
*decreased* have a cosine of .59. Each axis below has two poles; a word is never replaced by one of the other
pole. The list covers direction, quantity, quality, speed, time, order, sex and a few verbs of both poles;
opposites outside it are caught only where one is the other with a negating prefix or suffix. Members of one
kind (compass, colours, organs, meals) do not replace each other either. It is no lexicon: what is in neither
list stays possible, which is one reason why augmentations are audited.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from trainables.augment.english.false_friends import FALSE_FRIENDS
from trainables.augment.english.word_forms import share_stem, stem
from trainables.augment.english.words import word_set

_AXES = (
    (
        """increase increases increased increasing increasingly rise rises rising rose risen raise raised raises
        raising grow grows grew growing growth gain gains gained gaining high higher highest highs highly up upper
        upward upwards elevated elevation heightened enhanced enhance enhances enhancing enhancement improved
        improve improves improving improvement greater greatest large larger largest big bigger biggest huge more
        most maximum maximal max peak multiple numerous many much abundant excess surplus expand expanded
        expansion accelerate accelerated strengthen strengthened strengthening intensified climb climbed climbing
        tall taller tallest soared surged jumped above over exceed exceeds exceeded long longer longest wide wider
        broad deep thick heavy heavier major majority plenty full boost boosted amplified escalating
        extended extend prolonged""",
        """decrease decreases decreased decreasing fall falls falling fell fallen reduce reduces reduced reducing
        reduction lower lowers lowered lowering lowest lows low down downward downwards decline declines declined
        declining diminish diminished diminishing drop drops dropped dropping loss losses lose lost shrink
        shrinking shrank lesser less least fewer few small smaller smallest little tiny minimum minimal min
        minimize trough single lone scarce deficit lack shortage contract contracted contraction slowed weaken
        weakened weakening impaired impair impairment plunged slumped tumbled below under short shorter shortest
        narrow shallow thin light lighter minor minority empty slight worsened worsening shortened lessen lessened
        curtailed""",
    ),
    (
        """good better best great excellent wonderful terrific fantastic superb brilliant amazing awesome incredible
        nice fine decent positive favorable favourable pleasant enjoyable entertaining interesting exciting funny
        fun smart clever intelligent beautiful pretty lovely fresh original love loves loved like likes liked
        enjoy enjoyed enjoys succeeds succeeded frequent success successful successfully succeed win wins won
        winning winner healthy safe beneficial benefit benefits helpful happy happiness joy rich strong stronger
        strongest strongly powerful right correct true truth honest friend friends ally praise praised hope
        advantage advantages profit profits easy easily charming delightful compelling gripping engaging moving
        warm perfect perfectly well impressive splendid tremendous remarkable""",
        """bad worse worst terrible horrible awful dreadful horrific hideous poor poorly badly shitty crappy mediocre
        lousy disastrous negative adverse unpleasant boring bored dull tedious bland stale dreary tiresome stupid
        dumb silly foolish idiotic ugly hate hates hated dislike failure failed fail fails failing lose loses lost
        losing loser sick ill unhealthy dangerous harmful harm risk risks risky sad sadness sorrow poor weak
        weaker weakest weakly wrong incorrect false lie lies dishonest enemy enemies foe criticism criticized
        despair disadvantage loss losses deficit hard difficult annoying pathetic ridiculous cold flawed painful
        evil nasty severe harsh""",
    ),
    (
        """fast faster fastest quick quicker quickly rapid rapidly swift swiftly early earlier earliest immediate
        immediately sudden suddenly acute abruptly""",
        """slow slower slowly slowest gradual gradually late later latest delayed delay delays chronic steadily
        steady""",
    ),
    (
        """start starts started starting begin begins began beginning open opens opened opening first initial
        initially enter entered entering entry arrive arrived arrival birth born new newer young younger youth
        before prior previous previously preceding pre""",
        """end ends ended ending finish finished finishing close closes closed closing last final finally exit exited
        exiting leave leaving left depart departed departure death die died dead old older elderly age aged after
        following subsequent subsequently post""",
    ),
    (
        """male males man men boy boys father fathers son sons brother husband king actor actors masculine paternal
        gentleman""",
        """female females woman women girl girls mother mothers daughter daughters sister wife queen actress
        actresses feminine maternal lady pregnant""",
    ),
    (
        "mild milder mildly slight gentle benign moderate moderately temperate",
        "severe severely severity extreme intense serious harsh acute strong conservative",
    ),
    (
        "likely probable probably certain certainly surely undoubtedly possibly",
        "unlikely improbable doubtful",
    ),
    ("safety security", "danger dangers dangerous hazard hazards hazardous risk"),
    ("absolute", "relative"),
    (
        """accept accepted accepts accepting vitro parent parents alpha predecessor offensive push surprising allow
        receive receives received receiving inhale inhaled inhaling inhalation include includes included including
        inclusion allow allowed allows permit permitted approve approved approval support supported supports agree
        agreed agrees agreement add added adding addition present presence active activated activate activation
        induce induces induced inducer inducers inducing induction agonist agonists stimulate stimulated
        stimulation buy buys bought buying purchase purchased purchases import imports imported input internal
        inside inner inward absorb absorbed absorption absorbing attach attached bind bound connect connected
        create created build built appear appeared appears found find win attack attacked same similar similarly
        alike identical major hot warm warmth heat day north northern east eastern right front top solid wet
        public simple common frequent frequently possible commonly usual usually always certain known positive""",
        """reject rejected rejects rejecting rejection vivo child children beta successor defensive pull
        disappointing restrict send sends sent sending exhale exhaled exhaling exhalation exclude excludes
        excluded excluding exclusion forbid prohibited prohibit prevent prevented prevents deny denied disapproved
        oppose opposed opposes disagree disagreed remove removed removing removal absent absence passive inhibit
        inhibits inhibited inhibitor inhibitors inhibiting inhibition antagonist antagonists suppress suppressed
        suppression block blocked blocker sell sells sold selling sale sales export exports exported output
        external outside outer outward excrete excreted excretion eliminated elimination detach detached release
        released separate separated separating destroy destroyed disappear disappeared disappears missing lose
        defend defended different differently distinct minor cold cool coolness night south southern west western
        left back rear bottom liquid dry private complex complicated rare rarely impossible seldom never uncertain
        unknown negative""",
    ),
)
_KINDS = (
    "north south east west northern southern eastern western northeast northwest southeast southwest",
    "black white red green blue yellow brown orange purple pink gray grey caucasian asian african hispanic oriental",
    "morning noon afternoon evening night midnight",
    "spring summer autumn winter",
    "liver kidney heart lung brain stomach skin bladder pancreas bone muscle spleen breast nipple hepatitis",
    "glucose insulin protein proteins lipid fat cholesterol enzyme enzymes hormone",
    "proton electron neutron",
    "primary secondary tertiary",
    "school college university kindergarten",
    "gender sex intercourse male female masculine feminine",
    "cancer leukemia lymphoma melanoma chemotherapy",
    "teacher student pupil",
    "viewer reader listener",
    "lend lending lent borrow borrowing borrowed loan",
    "senior junior",
    "reopened closed",
    "dose doses dosage concentration concentrations level levels exposure clearance volume weight amount density",
    "absorption distribution metabolism excretion elimination",
    "mild moderate severe",
    "breakfast lunch dinner supper snack meal food nutrient diet",
    "male males man men boy boys",
    "female females woman women girl girls",
    "child infant adolescent teenager teenage young youngster",
    "mildly moderately severely",
)


def _with_stems(listing: str) -> frozenset[str]:
    words = word_set(listing)
    return words | {stem(word) for word in words}


def _places(listings: Iterable[frozenset[str]]) -> dict[str, frozenset[int]]:
    """Return for each word the numbers of the listings that hold it."""
    places: dict[str, frozenset[int]] = {}
    for number, listing in enumerate(listings):
        for word in listing:
            places[word] = places.get(word, _NOWHERE) | {number}
    return places


_NOWHERE: frozenset[int] = frozenset()
_APART = _places(_with_stems(listing) for listing in (*_KINDS, *FALSE_FRIENDS))
_ONE_POLE = _places(_with_stems(one) for one, _ in _AXES)
_OTHER_POLE = _places(_with_stems(other) for _, other in _AXES)
_NEGATING_PREFIXES = word_set(
    "un in im ir il dis non mis anti de counter under over hypo hyper mal sub super pre post intra extra inter"
)


def are_opposed(word: str, other: str) -> bool:
    """Return whether two lower-case words are known or built as opposites, or never stand for each other.

    These name two things of one kind, or are close in a sense of one of them that is not meant.

    Examples
    --------
    >>> are_opposed("increased", "decreased"), are_opposed("safety", "unsafe"), are_opposed("film", "movie")
    (True, True, False)
    """
    apart, one_pole, other_pole = _listed(word)
    others_apart, others_one_pole, others_other_pole = _listed(other)
    if apart & others_apart or one_pole & others_other_pole or other_pole & others_one_pole:
        return True
    if _negates(word, other) or _negates(other, word):
        return True
    return _stem_of_suffix(word, "less") == _stem_of_suffix(other, "ful") != "" or (
        _stem_of_suffix(word, "ful") == _stem_of_suffix(other, "less") != ""
    )


def has_opposite(word: str) -> bool:
    """Return whether a lower-case word takes a side on one of the axes."""
    _, one, other = _listed(word)
    return bool(one or other)


@lru_cache(maxsize=1 << 16)
def _listed(word: str) -> tuple[frozenset[int], ...]:
    """Return the listings that hold a word or what is left of it without an ending such as ``-ed`` or ``-er``."""
    bare = {word.removesuffix(suffix) for suffix in ("er", "est", "ly") if word.endswith(suffix)}
    forms = {word, stem(word), *bare}
    return tuple(
        _NOWHERE.union(*(places.get(form, _NOWHERE) for form in forms))
        for places in (_APART, _ONE_POLE, _OTHER_POLE)
    )


def _negates(word: str, other: str) -> bool:
    return any(
        word.startswith(prefix) and len(word) - len(prefix) >= 3 and share_stem(word[len(prefix) :], other)
        for prefix in _NEGATING_PREFIXES
    )


def _stem_of_suffix(word: str, suffix: str) -> str:
    return word.removesuffix(suffix) if word.endswith(suffix) else ""
