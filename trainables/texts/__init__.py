"""Token ids without padding, and the order in which they come in batches. Numpy alone.

Not allowed here: mlflow, optuna, ray, torch, transformers.
"""
