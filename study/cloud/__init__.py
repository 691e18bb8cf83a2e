"""What `ray up cluster.yaml` makes on AWS before a machine is started: narrow rights, a narrow door, a token.

Not allowed here: mlflow, optuna, torch, transformers.
"""
