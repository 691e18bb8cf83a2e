"""One stage: from batches to gradients to weights, under one loss. Which arm has which loss is decided elsewhere;
nothing is stored.

Not allowed here: mlflow, optuna, ray, transformers.
"""
