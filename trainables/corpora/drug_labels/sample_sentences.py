"""Sentence patterns of the generated sample, all written for this project; the drugs in them do not exist.

``[a|b|c]`` stands for one of its alternatives and may not be nested; ``{slot}`` is filled in by the generator.
"""

from __future__ import annotations

LEADING: dict[str, tuple[str, ...]] = {
    "absorption": (
        "{Drug} is [rapidly|slowly|incompletely|readily|almost completely] absorbed after"
        " [oral|buccal|rectal|sublingual]"
        " [administration|dosing], with a median T max of {hours} hours.",
        "The absolute [oral bioavailability|bioavailability] of {drug} is [about|approximately|close to]"
        " {pct}%.",
        "[Peak plasma concentrations|Maximum serum levels|Peak levels] were [reached|observed|seen]"
        " {hours} hours after"
        " a single {mg} mg [tablet|capsule|dose].",
        "A [high-fat|light|standard|high-calorie] meal [increased|decreased|lowered|raised] the AUC of"
        " {drug} by {pct}%"
        " and delayed T max by {hours} hours.",
        "[Taking|Giving] {drug} with food [did not change|had no relevant influence on|slightly reduced]"
        " its C max"
        " or AUC.",
        "C max and AUC rose [in proportion to|more than in proportion to|less than in proportion to] the"
        " dose between"
        " {mg} mg and {mg2} mg.",
        "Compared with the [oral solution|immediate-release tablet|powder for suspension], the relative"
        " bioavailability"
        " of the capsule was {pct}%.",
        "Uptake from the [small intestine|upper gut|jejunum|colon] is limited by [poor solubility|efflux"
        " by P-gp|gastric"
        " pH|a saturable carrier].",
        "After application to [intact|inflamed|broken] skin, less than {small}% of the {drug} dose"
        " reached the circulation.",
        "The [tablet|granules|capsule] may be taken [without regard to meals|on an empty stomach|with"
        " breakfast]; fasted"
        " and fed exposures were [comparable|within {small}% of each other].",
        "Following subcutaneous injection, {drug} enters the blood over {days} days and its"
        " bioavailability is {pct}%.",
        "In the fasted state the mean C max of {drug} was {ng} ng/mL at {hours} hours.",
    ),
    "distribution": (
        "The [apparent volume of distribution|steady-state volume of distribution|mean distribution"
        " volume] of {drug}"
        " is {litres} L.",
        "{Drug} is [highly|moderately|weakly|extensively] bound to [human plasma proteins|serum"
        " albumin|alpha-1 acid"
        " glycoprotein] ({pct}%).",
        "[Protein binding|Plasma binding|Binding in serum] of {drug} is {pct}% and does not depend on"
        " concentration"
        " up to {ng} ng/mL.",
        "The blood-to-plasma [ratio|concentration ratio] of {drug} is {ratio}.",
        "{Drug} [crosses|hardly crosses|does not cross] the blood-brain barrier, and levels in"
        " cerebrospinal fluid"
        " were {pct}% of those in plasma.",
        "[Tissue levels|Concentrations in tissue] were highest in [liver and kidney|lung|fat|spleen and"
        " bone marrow|skin].",
        "{Drug} [partitions into red blood cells|accumulates in fat|spreads into peripheral"
        " compartments|stays largely"
        " in the vascular space].",
        "Low amounts of {drug} were found in [breast milk|saliva|synovial fluid|the placenta of animals].",
        "A [two|three]-compartment model with a central volume of {small} L described the plasma"
        " concentrations of {drug}.",
        "The unbound fraction of {drug} was {small}% in [healthy volunteers|samples from adults|human"
        " plasma].",
    ),
    "metabolism": (
        "{Drug} is [primarily|mainly|extensively|partly] metabolized [by|through] {enzyme}, with a"
        " [minor|smaller|limited]"
        " contribution of {enzyme2}.",
        "The [main|principal|major] metabolic pathway is [N-demethylation|glucuronidation|hydroxylation|ester"
        " hydrolysis|sulfation|amide cleavage].",
        "The [active|inactive|major circulating] metabolite, {code}, accounts for {pct}% of [total"
        " radioactivity in"
        " plasma|drug-related material|the parent exposure].",
        "As a [monoclonal antibody|fusion protein|peptide], {drug} is expected to be degraded into small"
        " peptides and"
        " amino acids.",
        "{Drug} is a prodrug that is converted to {code} by [esterases|phosphatases|intestinal enzymes].",
        "[Human liver microsomes|Hepatocytes|Recombinant enzymes] turned {drug} into {count} oxidative"
        " products.",
        "{code} is [equipotent to the parent|{ratio} times as potent as {drug}|without pharmacological"
        " activity].",
        "[Biotransformation|Metabolic conversion] takes place [mostly in the liver|in liver and gut"
        " wall|in many tissues"
        " by hydrolysis].",
        "{Drug} does not undergo [relevant|appreciable|hepatic] metabolism; {pct}% of the circulating"
        " material is unchanged.",
        "Unchanged {drug} was the [predominant|most abundant] component in plasma, and {count}"
        " metabolites each made up"
        " less than {small}%.",
    ),
    "excretion": (
        "The [mean|median|terminal|effective] elimination half-life of {drug} is [about|approximately]"
        " {hours} hours.",
        "After a radiolabeled dose, {pct}% of the radioactivity was recovered in [urine|feces] and"
        " {small}% in"
        " [feces|urine|expired air].",
        "{Drug} is [eliminated|excreted|cleared] [mainly|predominantly|almost entirely] [by the"
        " kidneys|in bile|in the"
        " feces|unchanged in urine].",
        "[Apparent oral|Total body|Systemic|Mean plasma] clearance of {drug} was {small} L/h.",
        "Renal clearance of {drug} [exceeds|is below|is close to] the glomerular filtration rate, which"
        " points to"
        " [tubular secretion|reabsorption|filtration].",
        "Less than {small}% of the dose [appears in urine as parent drug|was found unchanged in feces|is"
        " excreted as"
        " conjugates].",
        "Plasma levels of {drug} decline [in two phases|mono-exponentially|slowly], with a half-life of"
        " {days} days.",
        "[Biliary secretion|Urinary recovery|Fecal elimination] accounts for {pct}% of the administered"
        " dose.",
        "Most of the dose left the body within {days} days, [largely as {code}|about half of it"
        " unchanged|as conjugates].",
        "Clearance of {drug} is [linear|non-linear at low concentrations|time-dependent], and its"
        " half-life at steady"
        " state is {days} days.",
    ),
    "other": (
        "No [clinically relevant|meaningful] differences in the pharmacokinetics of {drug} were seen by"
        " [age|sex|race|body"
        " weight|smoking status] ([18 to 85|40 to 120|12 to 75] [years|kg]).",
        "In [mild|moderate|severe] [renal|hepatic] impairment, the AUC of {drug} [increased|rose|fell]"
        " by {pct}% compared"
        " with [normal function|matched controls].",
        "[Coadministration|Concomitant use] of [{other_drug}|a strong CYP3A inhibitor|a strong CYP3A"
        " inducer|an antacid]"
        " [raised|lowered|changed] the AUC of {drug} by {pct}%.",
        "{Drug} [inhibits|induces|does not inhibit|is not an inducer of] {enzyme} and {transporter} in"
        " vitro.",
        "{Drug} is a substrate of {transporter} but not of [BCRP|OCT2|MATE1|OAT3].",
        "The pharmacokinetics of {drug} [have not been studied|were similar] in [pediatric"
        " patients|subjects over 65"
        " years|pregnant women|patients on dialysis].",
        "Steady state is reached [by day {days}|after {days} days] of once-daily dosing, with an"
        " accumulation ratio of"
        " {ratio}.",
        "The pharmacokinetics of {drug} were evaluated in {count} [healthy subjects|patients|adults] at"
        " doses from {mg} mg"
        " to {mg2} mg.",
        "[Dialysis|Hemodialysis] removed {pct}% of the {drug} dose, and exposure between sessions was"
        " [unchanged|lower].",
        "Poor metabolizers of {enzyme} had a {ratio}-fold [exposure|AUC] of {drug}.",
        "{Drug} increased the [C max|AUC] of {other_drug} by {pct}% when both were given for {days} days.",
        "In [children aged 6 to 11 years|adolescents|elderly volunteers|Japanese subjects],"
        " weight-adjusted clearance of"
        " {drug} was {pct}% of that in adults.",
        "The dose need not be adjusted in [patients with cirrhosis|the elderly|mild renal impairment|women].",
    ),
}

# Sentences that stand below either of two headings. A paragraph made of these alone cannot be told apart.
SHARED: tuple[tuple[tuple[str, str], tuple[str, ...]], ...] = (
    (
        ("absorption", "metabolism"),
        (
            "Extensive first-pass metabolism limits how much of the {drug} dose reaches the circulation.",
            "After oral dosing, {drug} is converted in the gut wall to {code}, which peaks at {hours} hours.",
            "Exposure to {code} after an oral dose is {ratio} times that of {drug}.",
        ),
    ),
    (
        ("absorption", "other"),
        (
            "Exposure to {drug} increased in proportion to the dose, and variability between subjects"
            " was {pct}%.",
            "Gastric acid reducers had no effect on the C max of {drug}.",
            "Mean C max and AUC at steady state were {ng} ng/mL and {ng2} ng·h/mL.",
            "The exposures of the two dosage forms of {drug} were similar in {count} adults.",
        ),
    ),
    (
        ("absorption", "distribution"),
        (
            "After an oral dose, {drug} appears in blood within {hours} hours and spreads quickly into"
            " tissue.",
        ),
    ),
    (
        ("distribution", "other"),
        (
            "Protein binding of {drug} was not altered in renal or hepatic impairment.",
            "Displacement of {other_drug} from plasma proteins by {drug} was not observed.",
            "{Drug} was detectable in milk, and the infant would receive {small}% of the maternal dose.",
        ),
    ),
    (
        ("distribution", "excretion"),
        (
            "Concentrations of {drug} fall with an initial distribution half-life of {hours} hours.",
            "Uptake of {drug} into the liver is followed by release into bile.",
            "The volume of distribution was {litres} L and clearance was {small} L/h.",
        ),
    ),
    (
        ("metabolism", "excretion"),
        (
            "{Drug} is cleared by hepatic metabolism, and its metabolites are eliminated in urine.",
            "{code} has a half-life of {hours} hours and is excreted by the kidneys.",
            "About {pct}% of the dose was recovered in urine as {code} and other metabolites.",
            "Elimination of {drug} depends on {enzyme}, and {small}% leaves the body unchanged.",
        ),
    ),
    (
        ("metabolism", "other"),
        (
            "{Drug} is a substrate of {enzyme} and {enzyme2} in vitro.",
            "Genetic variants of {enzyme} explain part of the variability of {drug}.",
            "In vitro, {code} did not inhibit {enzyme} at relevant concentrations.",
        ),
    ),
    (
        ("excretion", "other"),
        (
            "Clearance of {drug} increases with body weight.",
            "The half-life of {drug} was {hours} hours in subjects with reduced creatinine clearance.",
            "The clearance of {drug} did not differ between men and women.",
            "With repeated dosing, the half-life of {hours} hours leads to a {ratio}-fold accumulation.",
        ),
    ),
)

SYLLABLES = (
    (
        "vel",
        "tor",
        "bra",
        "nex",
        "lum",
        "sar",
        "qui",
        "dem",
        "pra",
        "zol",
        "fen",
        "gal",
        "mir",
        "cor",
        "ost",
        "ril",
    ),
    ("a", "o", "i", "e", "u", "ano", "iri", "ova", "eta", "ule", "axi", "obe"),
    (
        "xib",
        "prine",
        "mast",
        "tide",
        "zole",
        "limab",
        "dine",
        "fenac",
        "stat",
        "quone",
        "vir",
        "tamide",
        "lone",
        "gliv",
    ),
)
ENZYMES = (
    "CYP3A4",
    "CYP2D6",
    "CYP2C9",
    "CYP2C19",
    "CYP1A2",
    "CYP2B6",
    "UGT1A1",
    "UGT2B7",
    "aldehyde oxidase",
    "CYP2C8",
)
TRANSPORTERS = ("P-gp", "BCRP", "OATP1B1", "OATP1B3", "OAT1", "OCT2", "MATE1")
