"""The errors of the control plane; defined with the data plane, which raises them too."""

from trainables.errors import ConfigurationError, StudyError, StudyStopped, TrialFailed

__all__ = ["ConfigurationError", "StudyError", "StudyStopped", "TrialFailed"]
