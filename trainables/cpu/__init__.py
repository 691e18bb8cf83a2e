"""Speed on processors alone: the same functions as transformers' pass and torch's own, faster. What is computed, and
why, is decided elsewhere.

Not allowed here: mlflow, optuna, ray, transformers.
"""
