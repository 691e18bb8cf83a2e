"""Corpora of the literature, one module each, fetched and checked by digest. Their text never enters the project.

Not allowed here: mlflow, optuna, ray, torch, transformers.
"""
