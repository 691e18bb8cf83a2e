"""What makes a corpus: rows, groups, splits, draws, and the readers by name. A reader returns rows and trains nothing.

Readers stand in ``drug_labels``, ``own_tables`` and ``published``, which know nothing of one another.

Not allowed here: mlflow, optuna, ray, torch, transformers.
"""
