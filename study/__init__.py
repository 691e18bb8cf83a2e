"""Control plane: decides what runs, records it and judges it. Only this package knows Ray Tune, Optuna and MLflow.

The commands (launch, compare, predict, data, augment) are thin and stand at the top. Rooms, from the top to the ground
floor; a room imports only from those below it:

- command: what the commands share
- run: Ray, and the checks before it
- tracking: MLflow
- verdict: what the records mean
- audits: what augmentation did to a study's texts
- plan: what runs next
- record: what happened
- config: what a study is
- statistics: what paired differences show
- cloud: what a cluster on AWS is made with
- terminal: what the commands write on
"""
