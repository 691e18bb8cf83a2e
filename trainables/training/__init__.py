"""One stage: batches to gradients to weights, under one loss. It knows nothing of arms, and stores nothing.

Not allowed here: mlflow, optuna, ray, transformers.
"""
