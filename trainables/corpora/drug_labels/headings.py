"""What a heading inside a pharmacokinetics section says about the text below it: one rule table.

Used for marked headings (SPL XML) and for headings found inside flattened text (openFDA) alike.
"""

from __future__ import annotations

import re
from functools import lru_cache

ADME = ("absorption", "distribution", "metabolism", "excretion")
CLASSES = (*ADME, "other")
MIXED = "mixed"
FOOD_EFFECTS = ("absorption", "other")

# A topic is one of the four processes, or food. A heading made of topics alone, joined by "and", commas or
# slashes, takes the label of its topics: one process -> that process, several -> mixed.
TOPICS: dict[str, str] = {
    "food": r"""
        (the )?(effects?|influence|impact) of (a )?(high[- ]fat )?(food|meals?|diet|foods|concomitant food|food intake)
        | effects? of food (and|or) (beverages?|drinks?|antacids?) | (effects? of )?administration with food
        | food[- ]effects?( stud(y|ies))? | food | food interactions?
        | food effects? (on|and) (the )?(oral )?(absorption|bioavailability|pharmacokinetics) | food intake
        | effects? of food on (the )?(\w+ )?(absorption|bioavailability|pharmacokinetics|exposure)( of \w+)?
    """,
    "absorption": r"""
        ((oral|rectal|nasal|systemic|topical|dermal|percutaneous|transdermal|intestinal|gastrointestinal
          |drug|rate of|extent of|gi|buccal|subcutaneous|intramuscular|ocular|pulmonary|rate and extent of) )?
        (absorption|bioavailability)( (profile|data|studies))?
        | (absolute|relative|comparative)( oral)? bioavailability
        | absorption (following|after) (oral|single|multiple|intramuscular|subcutaneous|topical|intravenous|rectal)
          (dose|dosing|administration|use|application)
        | input characteristics | absorption kinetics
    """,
    "distribution": r"""
        ((drug|tissue|body|plasma|volume of|apparent volume of|central|cns|tissue and fluid|blood) )?distribution
        | distribution volume | volumes? of distribution
        | distribution in(to)? (the )?(cerebrospinal fluid|csf|tissues?|body fluids?|cns|breast milk)
        | ((plasma|serum|blood|human plasma|plasma and serum|extent of|in vitro|plasma/serum|human serum|albumin) )?
          (protein[- ])?binding( to plasma proteins?)?
        | ((tissue|cerebrospinal fluid|csf|cns|body fluid|central nervous system|lung|bone) )penetration
        | plasma protein binding and distribution | tissue concentrations?
        | penetration in(to)? (the )?(cerebrospinal fluid|csf|tissues?|body fluids?|cns|blister fluid)
    """,
    "metabolism": r"""
        ((drug|hepatic|in vitro|in vivo|first[- ]pass|liver|cyp|oxidative|human|presystemic) )?
        (metabolism|biotransformation|bio-transformation)( (studies|pathways?|profile))?
        | (active |circulating |major )?metabolites?( formation)? | metabolic (pathways?|profile|fate|transformation)
        | metabolites? (kinetics|pharmacokinetics)
    """,
    "excretion": r"""
        ((drug|renal|urinary|fecal|biliary|route of|routes of|systemic|total|body|urine|terminal|plasma|extent of
          |serum|fecal and urinary|renal and biliary|mean|oral|apparent|total body|kidney|primary) )?
        (excretion|elimination|clearance)( half[- ]li(fe|ves))?( \(t ?1/2\))?( (studies|kinetics|pathways?|routes?))?
        | ((terminal|plasma|serum|elimination|terminal elimination|effective|biologic|biological) )?half[- ]li(fe|ves)
          ( \(t ?1/2\))?
        | mass balance( stud(y|ies))? | (urinary )?recovery
    """,
}

_POPULATION = r"""(renal|hepatic|kidney|liver|renally|hepatically|pediatric|paediatric|geriatric|elderly|elder|adults?
    |adolescents?|child|children|infants?|neonat\w*|newborns?|age|ages|aged|sex|gender|gender/?sex|race|racial|ethnic
    |ethnicity|obes\w*|body weight|weight|body size|smok\w*|pregnan\w*|lactat\w*|nursing|males?|females?|men|women
    |juvenile|hemodialysis|dialysis|cirrho\w*|esrd|patients?|subjects?|japanese|asian|chinese|populations?|older
    |healthy volunteers|dysfunction|impairment|insufficiency|impaired|failure|disease)"""

# Headings whose text is about something else than the four processes. `search` rules may stand anywhere in the
# heading, `match` rules must cover it.
OTHER_SEARCH = (
    r"\b(impairment|insufficiency|impaired|dysfunction|populations?|pediatrics?|paediatrics?|geriatrics?|elderly)\b",
    r"\b(gender|sex|race|ethnicity|ethnic|obesity|smokers|smoking|pregnancy|lactation|hemodialysis|dialysis)\b",
    r"\b(drug[-/ ]+drug|drug interactions?|interactions?|interaction stud(y|ies)|co-?administ\w+|concomitant)\b",
    r"\b(inhibitors?|inducers?|substrates?|inhibition|induction)\b",
    r"\b(pharmacogenomics?|pharmacogenetics?|polymorphism|poor metabolizers?|genotypes?|metabolizers)\b",
    r"\b(pharmacodynamics?|mechanism of action|microbiology|immunogenicity|anti-drug antibod\w+|clinical studies)\b",
    r"\b(electrophysiology|qt|qtc|toxicology|carcinogenesis|animal|nonclinical|susceptibility|resistance)\b",
    r"\b(antimicrobial|antibacterial|antiviral|antifungal) activity\b",
    r"^(effects?|influence|impact) of .+ on (the )?.+$",
    r"^(effects?|influence) of (other|concomitant|intrinsic|extrinsic|demographic|body|age|renal|hepatic|disease) ?.*$",
)
OTHER_MATCH = (
    rf"(special |specific |other |use in )?{_POPULATION}(,? (and|or|and/or|with|in|of|/|to|on)? ?{_POPULATION})*",
    rf"(the )?{_POPULATION} (and|with|in|of|,) [\w ,/-]+",
    r"(general )?(pharmacokinetics?|pharmacokinetic)( (parameters?|properties|profile|data|characteristics|studies))?",
    r"(clinical )?pharmacology|general( characteristics)?|introduction|overview|linearity( and .*)?",
    r"dose[- ](proportionality|linearity|response)( and .*)?|(linearity|linear)/?(non-?linearity)?",
    r"(steady[- ]state|accumulation|time to steady state)( pharmacokinetics)?|bioequivalence|other drugs",
    r"cyp ?450( enzymes?)? (interactions?|effects?)|transporters? (studies|systems?|interactions?)",
    r"(factors|conditions) (affecting|influencing) .*|special (considerations|situations)|overdos(e|age)",
    r"(diabetes|cancer|hepatitis|hiv|crohn.?s|cystic fibrosis|heart failure|congestive heart failure).*",
    r"mechanism|actions?|clinical trials?|pharmacokinetic/pharmacodynamic relationship.*|exposure[- ]response.*",
)
# A sentence, or a population that says nothing about the topic: "Adults" may stand above a whole section.
NO_HEADING = (
    r"\b(is|was|were|are|has|have|had|be|been|did|does|do|may|can|should|showed|shown|demonstrated|indicated?|that"
    r"|suggests?|conducted|who|which|when|increased|decreased|appears?|seems?|remains?|results?|see|we|its?|their"
    r"|than|following administration)\b",
    r"^(healthy )?(adults?|patients?|subjects?|volunteers?|adult (patients?|subjects?|volunteers?|population))$",
)
MIXED_SEARCH = (
    r"^(adme|disposition|pharmacokinetics and metabolism|metabolism and pharmacokinetics"
    r"|pharmacokinetics and bioavailability|absorption,? .* pharmacokinetics|distribution and plasma levels)$",
)


def _verbose(pattern: str) -> re.Pattern[str]:
    # Rules are written with plain spaces for reading; line breaks and indentation do not count.
    return re.compile(re.sub(r"\s*\n\s*", "", pattern.strip()).replace(" | ", "|").replace("| ", "|"))


_TOPICS = {name: _verbose(pattern) for name, pattern in TOPICS.items()}
_OTHER_SEARCH = [re.compile(pattern) for pattern in OTHER_SEARCH]
_OTHER_MATCH = [_verbose(pattern) for pattern in OTHER_MATCH]
_MIXED_SEARCH = [re.compile(pattern) for pattern in MIXED_SEARCH]
_NO_HEADING = [re.compile(pattern) for pattern in NO_HEADING]
_MAX_CHARACTERS = 200
_JOINT = re.compile(r"\s*(?:,\s*and\s|,|/|;|\band/or\b|\band\b|&|\bor\b|\+)\s*")
_NUMBER = re.compile(r"^(\d{1,2}(\.\d{1,2})+\.?|\(?[a-z0-9]\)|[ivx]+\.)\s+")


def normalise_heading(heading: str) -> str:
    """Return a heading in lower case without its number, surrounding punctuation and repeated spaces."""
    text = " ".join(heading.lower().replace("–", "-").replace("—", "-").split())
    return _NUMBER.sub("", text.strip(" :.-;•*")).strip(" :.-;•*")


def classify_heading(heading: str, *, food_effect: str = "absorption") -> str | None:
    """Map the text of a heading to the class of the paragraphs below it.

    Parameters
    ----------
    heading
        The heading as printed; number, case, colon and dashes do not matter.
    food_effect
        Where text about the effect of food belongs: ``"absorption"`` or ``"other"``.

    Returns
    -------
    str or None
        A name of :data:`CLASSES`, ``"mixed"``, or None where the heading is not known.

    Examples
    --------
    >>> classify_heading("Elimination:"), classify_heading("Metabolism and Excretion")
    ('excretion', 'mixed')
    >>> classify_heading("Patients with Renal Impairment"), classify_heading("Effect of Food")
    ('other', 'absorption')
    """
    if len(heading) > _MAX_CHARACTERS:
        return None  # also keeps hostile input away from patterns that backtrack
    return _classify(normalise_heading(heading), food_effect)


@lru_cache(maxsize=200_000)
def _classify(text: str, food_effect: str) -> str | None:
    if not text:
        return None
    topics = _topics(text)
    if topics:
        labels = {food_effect if topic == "food" else topic for topic in topics}
        return labels.pop() if len(labels) == 1 else MIXED
    if any(rule.search(text) for rule in _NO_HEADING):
        return None
    if any(rule.search(text) for rule in _MIXED_SEARCH):
        return MIXED
    if any(rule.search(text) for rule in _OTHER_SEARCH) or any(rule.fullmatch(text) for rule in _OTHER_MATCH):
        return "other"
    return None


def _topics(text: str) -> set[str]:
    """Return the topics that a heading consists of, or nothing when any part of it is something else."""
    whole = {name for name, rule in _TOPICS.items() if rule.fullmatch(text)}
    if whole:
        return whole
    topics: set[str] = set()
    for part in _JOINT.split(text):
        named = {name for name, rule in _TOPICS.items() if rule.fullmatch(part)}
        if not named:
            return set()
        topics |= named
    return topics


# Sections of clinical pharmacology beside the pharmacokinetics.
_OUTSIDE = _verbose(r"""
    pharmacodynamics?|pharmacodynamic (effects|properties)|pharmacology|clinical pharmacology|microbiology
    |(microbiology|mechanism of action|pharmacodynamics) .*
    |mechanisms? of action|mode of action|mechanism|actions?|clinical (studies|trials|experience)
    |(anti\w+|in vitro|virologic\w*) (activity|spectrum)|susceptibility.*|(cross[- ])?resistance
    |(animal|nonclinical) (toxicology|pharmacology|studies).*|carcinogenesis.*|immunogenicity|indications.*
    |(cardiac )?electrophysiology|hemodynamics?|(clinical|bone) .*(effects|efficacy)|(effects|influence) on .*
""")
_OPENING = _verbose(r"(human |clinical )?pharmacokinetics?( (properties|profile|data|and metabolism))?")
_QUALIFIER = _verbose(r"""
    in (vitro|vivo)( (studies|data))?
    |(oral|intravenous|intramuscular|subcutaneous|topical|nasal|rectal|inhalation|iv|im|sc)
    ( (administration|dosing|route|solution|tablets?|capsules?|suspension|injection|use|formulations?|infusion))?
    |([\w-]+[- ]release )?(tablets?|capsules?|solution|suspension|injection|cream|gel|patch|oral suspension)
    |(single|multiple|repeated?)[- ]dos(e|es|ing)|enzymes|rate|extent|time course
""")


def opens_pharmacokinetics(heading: str) -> bool:
    """Tell whether a heading is the one above a whole pharmacokinetics section."""
    return _OPENING.fullmatch(normalise_heading(heading)) is not None


def leaves_pharmacokinetics(heading: str) -> bool:
    """Tell whether a heading opens another section of clinical pharmacology, e.g. pharmacodynamics."""
    return _OUTSIDE.fullmatch(normalise_heading(heading)) is not None


def qualifies_only(heading: str) -> bool:
    """Tell whether a sub-heading names a route, a form or a setting, so that the topic above it goes on."""
    return _QUALIFIER.fullmatch(normalise_heading(heading)) is not None
