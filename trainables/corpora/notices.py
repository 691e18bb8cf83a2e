"""What has to stand beside every result on a corpus: that its texts are invented, or how sure its labels are."""

from __future__ import annotations

SAMPLE = (
    "Generated sample corpus: its texts are invented, and results on it mean nothing about FDA labels or any other "
    "real text. They only show that the platform runs."
)
# By the corpus's name in the registry of readers.
NOTICES = {
    "adme": (
        "Silver labels: no expert labelled these texts. Each paragraph carries the label of the heading above it "
        "in the FDA label, and the heading was removed from the text. A wrong or loose heading is a wrong label."
    ),
}


def notice_of(corpus: str, is_sample: bool) -> str:
    """Return the notice of a corpus by its name; empty where there is nothing to say."""
    return SAMPLE if is_sample else NOTICES.get(corpus, "")
