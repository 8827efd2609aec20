"""Drafts of work orders, posted to a maintenance system until it accepts each of them."""

from collections.abc import Sequence

import requests
from pydantic import SecretStr

from monitor.alarms.courier import Sent
from monitor.alarms.outbox import Outgoing
from monitor.alarms.wire import WorkOrderDraft

_TIMEOUT_S = 10


class WorkOrders:
    """Posts drafts as JSON.

    Each carries an Idempotency-Key, the same at every attempt (draft-ietf-httpapi-idempotency-key-header): an answer
    that is lost makes the same draft come twice, and the receiver can tell.

    Args:
        url: Where to; it may hold a token and never reaches a log.
    """

    def __init__(self, url: SecretStr) -> None:
        self._url = url
        self._session = requests.Session()

    def send(self, batch: Sequence[Outgoing]) -> Sent:
        """Post each draft; accepted is what is answered with 2xx."""
        arrived: list[int] = []
        why_not = ""
        for each in batch:
            refused = self._refused(each.body)
            if refused is None:
                arrived.append(each.number)
            else:
                why_not = refused
        return Sent(tuple(arrived), why_not=why_not)

    def _refused(self, body: str) -> str | None:
        """Post one draft: why it was not accepted, or None when it was."""
        key = WorkOrderDraft.model_validate_json(body).key
        try:
            answer = self._session.post(
                self._url.get_secret_value(),
                data=body.encode(),
                headers={"Content-Type": "application/json", "Idempotency-Key": key},
                timeout=_TIMEOUT_S,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            return type(error).__name__  # its text holds the URL
        return None if answer.ok and answer.status_code < 300 else f"answered {answer.status_code}"
