"""What the commands write on: standard streams that lose no command its result, and tables that fit any width.

Nothing about a study is known here.

Not allowed here: mlflow, optuna, ray, torch, transformers.
"""
