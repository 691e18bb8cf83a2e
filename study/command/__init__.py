"""What the commands share: options, exit codes, progress. Nothing about a study is decided here.

Not allowed here: mlflow, optuna, ray, torch.
"""
