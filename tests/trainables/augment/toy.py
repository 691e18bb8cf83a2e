"""A made-up vocabulary with synonyms in clusters, and texts over it."""

import random

import numpy as np

from trainables.augment.models.vocabulary import whole_words
from trainables.augment.operators.neighbours import NeighbourTable

CLUSTERS = (
    "movie film picture feature",
    "movies films pictures features",
    "doctor physician medic clinician",
    "rapid swift brisk speedy",
    "rapidly swiftly briskly speedily",
    "house home dwelling residence",
    "absorbed soaked ingested imbibed",
    "happy glad cheerful merry",
    "increased decreased heightened reduced",
    "kidney renal nephric",
    "begin start commence",
    "garden yard orchard",
)
LONERS = ["xylophone", "quasar"]
FIXED = (
    "12.5 mg/L",
    "CYP3A4",
    "t1/2",
    "14C",
    "C max",
    "35%",
    "[see Table 2]",
    "half-life",
    "not",
    "λz",
    "7 days",
)


def vocabulary():
    """Token to id: clusters, a pair that differs in number alone, words without neighbours, pieces, specials."""
    words = [word for cluster in CLUSTERS for word in cluster.split()] + ["tree", "trees", *LONERS]
    return {
        token: i for i, token in enumerate(["[PAD]", "[UNK]", "##ing", "##ed", *words, "4", "max", "days"])
    }


def embeddings(dimensions=64):
    """(V, d): words of a cluster have cosines of about .8, all others about 0."""
    rng = np.random.default_rng(0)
    tokens = vocabulary()
    matrix = rng.normal(size=(len(tokens), dimensions))
    for cluster in (*CLUSTERS, "tree trees"):
        centre = rng.normal(size=dimensions)
        for word in cluster.split():
            matrix[tokens[word]] = centre + 0.5 * rng.normal(size=dimensions)
    return matrix.astype(np.float32)


def table():
    return NeighbourTable(whole_words(vocabulary(), ["[PAD]", "[UNK]"]), embeddings(), floor=0.5)


def toy_text(seed, n_words=60, fixed=True):
    """A text of changeable words, function words and things that must survive."""
    rng = random.Random(seed)
    words = [word for cluster in CLUSTERS for word in cluster.split()]
    tokens = []
    for i in range(n_words):
        word = rng.choice(words)
        if i % 10 == 0:
            word = word.capitalize()
        tokens.append(word + (". " if i % 10 == 9 else ", " if rng.random() < 0.1 else " "))
        if fixed and rng.random() < 0.25:
            tokens.append(rng.choice(FIXED) + " ")
    return "".join(tokens).strip()
