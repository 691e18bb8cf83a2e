"""Pharmacokinetics paragraphs of drug labels, from openFDA, SPL documents or the generated sample. No other corpus.

Not allowed here: mlflow, optuna, ray, torch, transformers.
"""
