"""What the commands share: options, exit codes, progress. It decides nothing about a study.

Not allowed here: mlflow, optuna, ray, torch.
"""
