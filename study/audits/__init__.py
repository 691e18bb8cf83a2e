"""Audits of augmentations as they lie in a study's folder, and how they are shown. Making one is not done here.

Not allowed here: mlflow, optuna, ray, torch, transformers.
"""
