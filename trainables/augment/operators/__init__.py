"""One module an operator, and the pieces that several of them share. No operator touches a label.

Not allowed here: mlflow, optuna, ray.
"""
