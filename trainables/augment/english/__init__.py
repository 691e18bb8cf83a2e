"""Words of English: what is one, what must not change, what may stand for what. No model and no network.

Not allowed here: mlflow, optuna, ray, torch, transformers.
"""
