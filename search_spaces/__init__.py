"""One file a study: its corpus, search space, budget and expected result.

A study file defines ``STUDY`` and ``PRESETS``: preset name to the values of
:class:`study.config.study.StudyConfig` in which it differs from ``STUDY``. Adding a study is adding a file here;
no code may enter that another study would need.
"""
