"""What makes the rows of stage 1: operators, and the set that they fill. It sees training rows alone.

Rooms, from the top to the ground floor, between which ``registry``, ``operator``, ``stage1_set``, ``cached``,
``siblings``, ``turns`` and ``reach`` stand:

- audit: what an operator does to texts
- operators: one module an operator
- models: models and endpoints that operators ask
- english: words, and what may be done to them

Not allowed here: mlflow, optuna, ray.
"""
