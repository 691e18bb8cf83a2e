"""What happened: the ledger, which is the only source of truth about a study, and what arithmetic makes of it.

Not allowed here: mlflow, optuna, ray, torch, transformers.
"""
