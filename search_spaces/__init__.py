"""One file a study: its corpus, search space, budget and expected result."""
