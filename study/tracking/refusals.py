"""What MLflow refuses: told apart from an MLflow that is away, and kept from holding up the rest.

An MLflow that is away takes everything later. What it refuses it would refuse again, so it is noted, told once, and the
rest goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from study.tracking.uri import first_line

# Error codes of an answer about what was sent, and of one about who sent it.
_WRONG_CONTENT = frozenset({"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "MALFORMED_REQUEST"})
_WRONG_SENDER = frozenset({"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"})
_TELLS = 5  # refused things that are named; of further ones the number is told


class Refusals:
    """What was refused, by name, with the first reason given for it."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def note(self, what: str, error: Exception) -> None:
        """Note that something was refused."""
        self._reasons.setdefault(what, first_line(error))

    def sentence(self) -> str:
        """Return what was refused and why; empty where nothing was."""
        if not self._reasons:
            return ""
        named = [f"{what} ({reason})" for what, reason in self._reasons.items()][:_TELLS]
        more = f" and {len(self._reasons) - _TELLS} more" if len(self._reasons) > _TELLS else ""
        return f"refused for good: {'; '.join(named)}{more}"


def is_refusal(error: Exception, *, of_sender: bool = False) -> bool:
    """Return whether an error is MLflow's answer to what was sent, and so would come again.

    Parameters
    ----------
    error
        What a call of MLflow's client raised.
    of_sender
        Whether an answer that refuses the user counts too.
    """
    code = getattr(error, "error_code", None)
    return code in _WRONG_CONTENT or (of_sender and code in _WRONG_SENDER)


def send(client: Any, run_id: str, entities: Sequence[Any], refusals: Refusals, probe: Any) -> None:
    """Log metrics, params and tags in their order; what is refused among them is noted, and the others are logged.

    A batch is refused as a whole, so it is halved until what is refused stands alone.

    Parameters
    ----------
    client, run_id
        MLflow's client, and the run.
    entities
        Metrics, params and tags of one batch.
    refusals
        Where refused ones are noted.
    probe
        A tag that the run already has.

    Raises
    ------
    mlflow.exceptions.MlflowException
        MLflow is away, or refuses the run itself (somebody has deleted it).
    """
    from mlflow.exceptions import MlflowException

    try:
        _log_batch(client, run_id, entities)
    except MlflowException as error:
        if not is_refusal(error):
            raise
        _log_batch(client, run_id, [probe])
        _send_halves(client, run_id, entities, refusals, error)


def attach(upload: Callable[[], None], what: str, refusals: Refusals) -> None:
    """Attach files or a description to a run; where MLflow or its store of files refuses them, the rest goes on.

    Raises
    ------
    mlflow.exceptions.MlflowException, sqlalchemy.exc.SQLAlchemyError, OSError
        MLflow is away.
    """
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        upload()
    except MlflowException as error:
        if not is_refusal(error, of_sender=True):
            raise
        refusals.note(what, error)
    except RequestException as error:
        if error.response is None or error.response.status_code >= 500:
            raise
        refusals.note(what, error)
    except (SQLAlchemyError, ConnectionError, TimeoutError):
        raise
    except Exception as error:  # stores are libraries of many vendors, whose errors have no common root
        refusals.note(what, error)


def _send_halves(
    client: Any, run_id: str, entities: Sequence[Any], refusals: Refusals, error: Exception
) -> None:
    from mlflow.exceptions import MlflowException

    if len(entities) == 1:
        refusals.note(f"{type(entities[0]).__name__} {entities[0].key[:80]}", error)
        return
    middle = len(entities) // 2
    for half in (entities[:middle], entities[middle:]):
        try:
            _log_batch(client, run_id, half)
        except MlflowException as found:
            if not is_refusal(found):
                raise
            _send_halves(client, run_id, half, refusals, found)


def _log_batch(client: Any, run_id: str, entities: Sequence[Any]) -> None:
    from mlflow.entities import Metric, Param, RunTag

    def of(kind: type) -> list[Any]:
        return [entity for entity in entities if isinstance(entity, kind)]

    client.log_batch(run_id, metrics=of(Metric), params=of(Param), tags=of(RunTag))
