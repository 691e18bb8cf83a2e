"""What runs next, decided from the configuration and the ledger alone. Who runs the jobs is not known here.

Not allowed here: mlflow, ray, torch, transformers.
"""
