"""Names that MLflow takes."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from study.projection import metric_name


def original_name(name: str) -> str:
    """Undo :func:`metric_name`, for names within MLflow's limit."""
    segments = ["" if segment == "_x_" else segment for segment in name.split("/")]
    return re.sub(r"_x([0-9A-F]+)_", lambda m: chr(int(m.group(1), 16)), "/".join(segments))


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
    | st.text("._/x25 %", min_size=1, max_size=12)
)
def test_any_class_name_becomes_a_metric_name_that_mlflow_takes_and_that_stays_unique(name):
    from mlflow.utils.validation import _validate_metric_name

    safe = metric_name(name)
    _validate_metric_name(safe)
    assert original_name(safe) == name


@given(st.text(min_size=300, max_size=400))
def test_long_names_are_cut_to_what_mlflow_takes(name):
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(metric_name(name))
    assert len(metric_name(name)) <= 250
    assert metric_name(name) != metric_name(name + "x")
