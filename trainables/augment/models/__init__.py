"""Models and endpoints that operators ask, and the limits on asking. They know nothing of strength or copies.

Not allowed here: mlflow, optuna, ray.
"""
