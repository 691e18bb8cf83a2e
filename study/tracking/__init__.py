"""MLflow: one writer copies the ledger to it. A study can run and be judged without this room.

Not allowed here: optuna, ray, torch, transformers.
"""
