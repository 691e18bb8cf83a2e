"""The model to take home: a folder of transformers that gives calibrated probabilities without this project.

Not allowed here: mlflow, optuna, ray.
"""
