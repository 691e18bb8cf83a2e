"""The paper: two-stage training and the arms that it is compared with, as one algorithm. How a stage is trained fast,
and where its weights are kept, is decided elsewhere.

Not allowed here: mlflow, optuna, ray, transformers.
"""
