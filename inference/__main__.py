"""Wire the scoring service and run it until SIGTERM or SIGINT."""

import sys

import structlog
from pydantic import ValidationError

from inference.bundle import ModelUnusable, read_bundle
from inference.server import listen, serve
from inference.settings import InferenceSettings

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
    try:
        bundle = read_bundle(settings.models_dir, settings.model_name)
        listener = listen(settings.listen_host, settings.listen_port)
    except ModelUnusable as error:
        _LOG.error("model_is_unusable", error=str(error))
        return 1
    except OSError as error:
        _LOG.error(
            "cannot_listen", address=f"{settings.listen_host}:{settings.listen_port}", error=str(error)
        )
        return 1
    host, port = listener.getsockname()[:2]
    _LOG.info("inference_started", address=f"{host}:{port}", model=bundle.manifest.model_id)
    serve(settings, bundle, listener)
    return 0


if __name__ == "__main__":
    sys.exit(main())
