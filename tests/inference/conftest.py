"""The committed bundle, served without a network; and the real service as a process."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from inference.app import create_app
from inference.bundle import Bundle, read_bundle
from inference.metrics import InferenceMetrics
from inference.service import ScoringService, load_model
from tests.inference.inference_process import ServiceProcess, running

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return read_bundle(MODELS / "fan", "fan", None)


@pytest.fixture(scope="session")
def service(bundle: Bundle) -> ScoringService:
    service = ScoringService()
    service.serve(load_model(bundle, "litert"))
    return service


@pytest.fixture
def client(service: ScoringService) -> FlaskClient:
    return create_app(service, InferenceMetrics(), max_body_bytes=64 * 1024, max_rows=1000).test_client()


@pytest.fixture
def copied_models(tmp_path: Path) -> Path:
    """A models folder of one's own, to damage."""
    models = tmp_path / "models"
    shutil.copytree(MODELS / "fan", models / "fan")
    return models


@pytest.fixture
def start_service() -> Iterator[Callable[..., ServiceProcess]]:
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(running(models_dir=MODELS, **settings))


@pytest.fixture(scope="session")
def served() -> Iterator[ServiceProcess]:
    """One service for the tests that leave it as it was."""
    with running(models_dir=MODELS, max_body_bytes=65536) as service:
        service.await_event("model_ready")
        yield service
