"""Audits of augmentations as stored in a study's folder, and how they are shown. They are not made here.

Not allowed here: mlflow, optuna, ray, torch, transformers.
"""
