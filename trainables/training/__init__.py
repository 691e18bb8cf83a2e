"""One stage: batches to gradients to weights, under one loss. Which arm has which loss is decided elsewhere, and nothing
is stored here.

Not allowed here: mlflow, optuna, ray, transformers.
"""
