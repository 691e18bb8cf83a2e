"""Never train the same thing twice: content-addressed results, leases, checkpoints. What it holds changes no number.

Not allowed here: mlflow, optuna, ray.
"""
