"""Ray, and what is checked before it is started. Which trials there are is decided in the plan, not here.

Not allowed here: mlflow, optuna.
"""
