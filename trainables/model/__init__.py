"""The pretrained encoder with a head: loading, precision, prediction, cost. Nothing here updates a weight.

Not allowed here: mlflow, optuna, ray.
"""
