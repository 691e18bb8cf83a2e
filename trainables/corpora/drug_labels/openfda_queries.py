"""Which labels of openFDA a study asks for: fixed searches, in a fixed order."""

from __future__ import annotations

from dataclasses import dataclass

OPENFDA = "openfda"  # in place of a path


@dataclass(frozen=True)
class Query:
    """What is downloaded.

    Attributes
    ----------
    searches
        As openFDA's ``search`` has them; no label is found by two of them.
    order
        As openFDA's ``sort`` has it (None: the server's own, by the identity of its documents).
    most
        Labels that are taken of each search, from the first one on (None: all).
    most_bytes
        No further page is asked for once so many bytes have come (None: however many).
    most_seconds, least
        No further page is asked for after so many seconds, if so many labels are there (None: however long).
    """

    searches: tuple[str, ...]
    order: str | None = None
    most: int | None = None
    most_bytes: int | None = None
    most_seconds: float | None = None
    least: int = 0

    def wanted(self, total: int) -> int:
        """Return how many of the labels that a search finds are to be taken."""
        return total if self.most is None else min(total, self.most)

    def is_enough(self, labels: int, received_bytes: int) -> bool:
        """Return whether a search ends before its last label."""
        return (self.most is not None and labels >= self.most) or (
            self.most_bytes is not None and received_bytes >= self.most_bytes
        )


# Two searches that share no label, the second for labels of the older form.
ALL = Query(
    ("_exists_:pharmacokinetics", "_exists_:clinical_pharmacology AND NOT _exists_:pharmacokinetics"),
)
# A label's identity (set_id) is random and stays through all its versions. So the first ones in its order are a sample
# of the labels that nothing in them decides, and an update of openFDA changes it only by labels that are new, withdrawn
# or have a new version. By date, the first would be the oldest labels, of the oldest form, and the last would be others
# every week. With a page of 100, which has some 5 MB uncompressed, the bytes stay below 150 MB.
PART = Query(
    ("_exists_:pharmacokinetics",),
    order="openfda.spl_set_id.exact:asc",
    most=1000,
    most_bytes=140_000_000,
    # A slow network ends it earlier: 300 labels have some 2,000 paragraphs, more than a study of ten minutes reads.
    most_seconds=120.0,
    least=300,
)
QUERIES = {"part": PART, "all": ALL}
