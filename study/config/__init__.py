"""What a study is: its values, their rules, and the files that give them. Nothing here runs, records or loads a model.

Not allowed here: mlflow, optuna, ray, torch, transformers.
"""
