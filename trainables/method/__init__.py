"""The paper: two-stage training and the arms that it is compared with, as one algorithm. No speed, no storage.

Not allowed here: mlflow, optuna, ray, transformers.
"""
