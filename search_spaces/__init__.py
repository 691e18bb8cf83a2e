"""One file per study: its corpus, search space, budget and expected result.

A study file defines ``STUDY``, the values of :class:`study.config.study.StudyConfig`, and ``PRESETS``, which gives for
each preset the values that differ from ``STUDY``. To add a study, add a file here. Code that another study would need
does not belong here.
"""
