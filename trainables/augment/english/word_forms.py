"""Crude English morphology: enough to keep a substitute's form and to tell inflections from other words."""

from __future__ import annotations

from functools import lru_cache

_ENDINGS = ("ing", "ed", "ly")
_NO_PLURAL = ("ss", "us", "is")
_SHORTEST_STEM = 3
_FAMILIES = """
    good better best well | bad worse worst badly | man men | woman women | child children childhood | foot feet
    | say said says | make made maker | take took taken | see saw seen sight | give gave given gift | come came
    | go went gone going gonna | want wanna | get got getting | find found | think thought | tell told tale |
    feel felt | keep kept | leave left | bring brought | buy bought | sell sold sale | pay paid | lead led |
    hold held | write wrote written writer | run ran | rise rose risen raise | fall fell fallen | know knew
    known knowledge | become became | begin began begun | show shown | stand stood | lose lost loss | mean meant
    | meet met | send sent | build built | spend spent | grow grew grown growth | win won winner | teach taught
    | seek sought | speak spoke spoken speech | break broke broken | choose chose chosen choice | drive drove
    driven | eat ate eaten food | shoot shot | strike struck stricken | sit sat | sing sang sung song | draw
    drew drawn | fly flew flown flight | bind bound | hear heard | sleep slept | swim swam | wear wore worn |
    throw threw | lend lent loan | catch caught | fight fought | strong strength strengthen | long length |
    young youth | deep depth | warm warmth | wide width | high height | hot heat | die dead death died | live
    life lives alive | prove proof | believe belief | solve solution | broad breadth | clear clarity clarify |
    able ability | safe safety | stable stability | acquire acquisition | humor humour humorous | maintain
    maintenance | emphasis emphasize | receive receipt | destroy destruction | repeat repetition | describe
    description | differ difference |
    use uses used using user usage utilize | france french | america american usa | england english | spain spanish
"""  # irregular forms and derivations that spelling does not tell


def _families_of_words() -> dict[str, set[int]]:
    families: dict[str, set[int]] = {}
    for number, family in enumerate(_FAMILIES.split("|")):
        for word in family.split():
            families.setdefault(word, set()).add(number)
    return families


_FAMILIES_OF = _families_of_words()
_NO_FAMILY: set[int] = set()


@lru_cache(maxsize=1 << 16)
def ending(word: str) -> str:
    """Return the inflectional ending that a word shows: ``ing``, ``ed``, ``ly``, ``s`` or none."""
    for suffix in _ENDINGS:
        if word.endswith(suffix) and len(word) - len(suffix) >= _SHORTEST_STEM:
            return suffix
    return "s" if word.endswith("s") and not word.endswith(_NO_PLURAL) and len(word) > _SHORTEST_STEM else ""


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """Return a word without ``-s``, ``-es``, ``-ed``, ``-ing`` and a final ``-e``: ``studies`` gives ``study``."""
    if word.endswith(("ies", "ied")) and len(word) > 4:
        return word[:-3] + "y"
    for suffix in ("ing", "ed", "es", "s"):
        if word.endswith(suffix) and ending(word) and len(word) - len(suffix) >= _SHORTEST_STEM:
            word = word.removesuffix(suffix)
            break
    if len(word) > _SHORTEST_STEM and word[-1] == word[-2]:
        word = word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > _SHORTEST_STEM else word


def differ_in_number(word: str, other: str) -> bool:
    """Return whether two words are singular and plural of one (or third person and base form of a verb)."""
    return {ending(word), ending(other)} == {"", "s"} and stem(word) == stem(other)


def share_stem(word: str, other: str) -> bool:
    """Return whether two words look derived from one: ``metabolism`` and ``metabolic``, ``health`` and ``healthy``.

    They do where one stem starts the other, where they share their first letters over half of the longer
    word, where they differ in one letter (``affect`` and ``effect``), and where the list of irregular forms
    and derivations says so (``say`` and ``said``, ``strong`` and ``strength``).
    """
    if _FAMILIES_OF.get(word, _NO_FAMILY) & _FAMILIES_OF.get(other, _NO_FAMILY):
        return True
    one, two = sorted((stem(word), stem(other)), key=len)
    if two.startswith(one):
        return True
    differing = [i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b]
    if len(differing) == 1 and len(one) == len(two) > 3:
        return True
    shared = differing[0]
    return shared >= 4 and 2 * shared >= max(len(word), len(other))
