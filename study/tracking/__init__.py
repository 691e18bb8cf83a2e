"""MLflow: one writer that shows the ledger to it. A study runs and is judged without this room.

Not allowed here: optuna, ray, torch, transformers.
"""
