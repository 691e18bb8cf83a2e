"""Speed on CPUs, and nothing else: what transformers' pass and torch's own functions compute, faster. What is computed,
and why, is decided elsewhere.

Not allowed here: mlflow, optuna, ray, transformers.
"""
