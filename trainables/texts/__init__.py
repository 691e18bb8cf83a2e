"""Token ids without padding, and the order in which they come in batches. Needs only NumPy.

Not allowed here: mlflow, optuna, ray, torch, transformers.
"""
