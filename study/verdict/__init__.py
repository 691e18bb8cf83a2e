"""What the records mean: statistics, words, report. This room reads the ledger and runs nothing.

Not allowed here: mlflow, optuna, ray, torch, transformers.
"""
