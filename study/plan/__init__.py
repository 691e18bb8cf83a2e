"""What runs next, from the configuration and the ledger alone. It hands out jobs and does not know who runs them.

Not allowed here: mlflow, ray, torch, transformers.
"""
