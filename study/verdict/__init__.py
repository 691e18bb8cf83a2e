"""What the records mean: statistics, words, report. It reads the ledger and runs nothing.

Not allowed here: mlflow, optuna, ray, torch, transformers.
"""
