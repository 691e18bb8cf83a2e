"""Data plane: everything that runs on a worker. Imports neither Ray Tune nor Optuna nor MLflow."""
