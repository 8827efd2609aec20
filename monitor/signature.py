"""Units, plausible ranges and threshold of the model in use, asked of the scoring service.

A verdict carries numbers and no units. The page works without this, only plainer, so nothing here may fail it.
"""

import threading

import requests
import structlog
from pydantic import ValidationError

from contract.bundle import ModelSignature
from contract.scoring import ModelMetadata

_LOG = structlog.get_logger()
_TIMEOUT_S = 3
_RETRY_S = (1.0, 2.0, 5.0, 15.0)


class SignatureReader:
    """Asks at the start, and again when verdicts name another model; runs in a thread of its own."""

    def __init__(self, inference_url: str, model_name: str) -> None:
        self._url = f"{inference_url.rstrip('/')}/v2/models/{model_name}"
        self._wanted: str | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._signature: ModelSignature | None = None
        self._thread = threading.Thread(target=self._run, name="signature", daemon=True)

    @property
    def signature(self) -> ModelSignature | None:
        """What the scoring service said last; None until it has."""
        return self._signature

    def seen(self, model: str) -> None:
        """A verdict names this model ("fan:3")."""
        if model != self._wanted:
            self._wanted = model
            self._wake.set()

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Stop asking; a request in flight is waited for."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_TIMEOUT_S + 1)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self._signature = self._ask()
                failures = 0
                _LOG.info("signature_read", signals=[each.name for each in self._signature.signals])
                self._wake.wait()
                self._stopping.wait(
                    _RETRY_S[0]
                )  # two models in turn must not make a request for each verdict
            except (requests.RequestException, ValidationError) as error:
                if failures == 0:
                    _LOG.warning("signature_unknown", url=self._url, error=str(error)[:200])
                self._stopping.wait(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
                failures += 1

    def _ask(self) -> ModelSignature:
        response = requests.get(self._url, timeout=_TIMEOUT_S)
        response.raise_for_status()
        return ModelMetadata.model_validate_json(response.content).parameters
