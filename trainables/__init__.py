"""Data plane: everything that runs on a worker. Training and timing need only torch; only ``worker`` knows Ray.

The modules of one trial (worker, replicate, prepared, metrics, class_offsets, diagnostics, scores, failure_notes) and
of the model that a study leaves (final_model) stand at the top, and those that everything shares (settings, rules,
trial, interval, errors, seeds, priors, world, user_cache) at the bottom. The rooms lie in between, listed from top to
bottom; a room imports only from those below it:

- export: the model to take home
- method: the paper, its arms and controls
- augment: what makes the rows of stage 1
- corpora: what makes the texts and their split
- reuse: never train the same thing twice
- training: one stage
- model: the encoder and its classifier
- cpu: the same computations, faster on CPUs
- texts: token ids and batches
"""
