"""Data plane: everything that runs on a worker, trainable and timed with torch alone. ``worker`` alone knows Ray.

One trial (worker, replicate, prepared, metrics, diagnostics, failure_notes) stands at the top, and everybody's words
(settings, rules, trial, interval, errors, seeds, world, user_cache) on the ground. Rooms in between, from the top to
the ground floor; a room imports from those below it alone:

- method: the paper, its arms and controls
- augment: what makes the rows of stage 1
- corpora: what makes the texts and their split
- reuse: never train the same thing twice
- training: one stage
- model: the encoder and its classifier
- cpu: speed alone
- texts: token ids and batches
"""
