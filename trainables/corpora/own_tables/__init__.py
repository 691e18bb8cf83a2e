"""Tables of the user's own: CSV, TSV, JSON, Parquet. Nothing here knows what the texts are about.

Not allowed here: mlflow, optuna, ray, torch, transformers.
"""
