"""Never train the same thing twice: content-addressed results, leases, checkpoints. Nothing here changes a result.

Not allowed here: mlflow, optuna, ray.
"""
