"""The pretrained encoder with a head: loading, precision, prediction, what it costs. Nothing here updates a weight.

Not allowed here: mlflow, optuna, ray.
"""
