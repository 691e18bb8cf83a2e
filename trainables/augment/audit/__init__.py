"""What an operator does to texts and labels, measured. Operators know nothing of it.

Not allowed here: mlflow, optuna, ray.
"""
