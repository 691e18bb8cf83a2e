"""What happened: the ledger, which is the one truth about a study, and what follows from it by arithmetic alone.

Not allowed here: mlflow, optuna, ray, torch, transformers.
"""
