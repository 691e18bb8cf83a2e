"""What paired differences show: intervals, tests, power, repeated looks, the verdict. Numbers in, numbers out.

Not allowed here: mlflow, optuna, ray, torch, transformers, study.record, study.config, study.terminal.
"""
