"""Ray, and the checks before it is started. Which trials to run is decided in the plan, not here.

Not allowed here: mlflow, optuna.
"""
