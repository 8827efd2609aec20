"""Wire the scoring service and run it until SIGTERM or SIGINT."""

import signal
import sys

import structlog
from pydantic import ValidationError

from inference.deployments import ModelStore
from inference.errors import ModelUnusable
from inference.server import listen, serve
from inference.settings import InferenceSettings
from inference.signature import Signers

_LOG = structlog.get_logger()


def main() -> int:
    """Run the service; 0 after a clean stop, 1 when it cannot work, 2 when its settings are wrong."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    )
    try:
        settings = InferenceSettings.read()
    except ValidationError as error:
        _LOG.error("settings_are_wrong", error=str(error))
        return 2
    address = f"{settings.listen_host}:{settings.listen_port}"
    # Until gunicorn has handlers of its own; the first process of a container would otherwise ignore both.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    signers = Signers(settings.model_public_keys, settings.scratch_dir)
    store = ModelStore(
        settings.models_dir / settings.model_name,
        settings.model_name,
        None if settings.allow_unsigned_models else signers,
    )
    try:
        first = store.first()
    except ModelUnusable as error:
        _LOG.error("model_is_unusable", error=str(error))
        return 1
    except OSError as error:
        _LOG.error("cannot_write_scratch_dir", folder=str(settings.scratch_dir), error=str(error))
        return 1
    try:
        listener = listen(settings.listen_host, settings.listen_port)
    except OSError as error:
        _LOG.error("cannot_listen", address=address, error=str(error))
        return 1
    host, port = listener.getsockname()[:2]
    [bundle] = first.values()
    _LOG.info(
        "inference_started",
        address=f"{host}:{port}",
        model=bundle.manifest.model_id,
        signature="not looked at" if settings.allow_unsigned_models else "good",
    )
    try:
        serve(settings, store, first, listener)
    except OSError as error:
        _LOG.error("cannot_write_scratch_dir", folder=str(settings.scratch_dir), error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
