"""The corpus of a study that confirms what it chose: who sees which texts.

The search and the screening never see a test text: what they get holds none. Fresh replicates, those after the
search's, have training and validation texts of their own where the corpus can be split anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from trainables.prepared import PreparedCorpus
from trainables.resplit import ResplitCorpus, SharedCorpus


@dataclass(frozen=True)
class StagedCorpus:
    """What workers get by reference from the object store, see the module.

    Attributes
    ----------
    shared
        The corpus as the search uses it.
    fresh
        The split of each fresh replicate; None where they use ``shared`` too.
    searched
        Number of replicates of the search: fresh ones count from there.
    confirmed_from
        The first replicate that is scored on the test split.
    """

    shared: SharedCorpus
    fresh: ResplitCorpus | None
    searched: int
    confirmed_from: int

    def of_replicate(self, replicate: int) -> PreparedCorpus:
        """Return the parts that a replicate trains and is scored on; the test part is empty before the confirmation."""
        if self.fresh is not None and replicate >= self.searched:
            parts = self.fresh.of_replicate(replicate - self.searched)
        else:
            parts = self.shared.of_replicate(replicate)
        return parts if replicate >= self.confirmed_from else parts.without_test()
