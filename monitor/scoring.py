"""Asking the scoring service what it makes of rows that nobody measured, to explain an alarm.

POST /v2/models/NAME/infer of the Open Inference Protocol (REST, version 2).
"""

from collections.abc import Sequence

import requests
from pydantic import ValidationError

from contract.identity import ModelName
from contract.scoring import INPUT_TENSOR, PROBABILITY_TENSOR, InferResponse
from monitor.diagnosis.shapley import NotScored


class ScoringService:
    """The scoring service's answers as numbers; used by one thread.

    Args:
        base_url: Its address.
        model_name: The model that gave the verdicts.
        timeout_s: How long one answer may take; an alarm waits for it.
    """

    def __init__(self, base_url: str, model_name: ModelName, timeout_s: float = 2.0) -> None:
        self._url = f"{base_url.rstrip('/')}/v2/models/{model_name}/infer"
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment is not for the service next door

    def score(self, rows: Sequence[Sequence[float]]) -> list[float]:
        """Probabilities of rows [n, k], k in the order of the model's signature: [n].

        Raises:
            NotScored: No usable answer in time; the alarm is explained without it.
        """
        tensor = {
            "name": INPUT_TENSOR,
            "datatype": "FP32",
            "shape": [len(rows), len(rows[0])],
            "data": [value for row in rows for value in row],
        }
        try:
            response = self._session.post(
                self._url, json={"inputs": [tensor]}, timeout=self._timeout_s, allow_redirects=False
            )
            response.raise_for_status()
            answer = InferResponse.model_validate_json(response.content)
        except (requests.RequestException, ValidationError) as error:
            raise NotScored(f"{self._url}: {error}") from error
        return [
            float(value)
            for output in answer.outputs
            if output.name == PROBABILITY_TENSOR
            for value in output.data
        ]

    def close(self) -> None:
        """Close the connection."""
        self._session.close()
