"""Another version becomes the champion while requests come in: the pure parts, and the real service under load."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pytest
import requests

from contract.bundle import Manifest
from inference.champion import Champion
from inference.deployments import ModelStore
from inference.errors import ModelUnusable
from inference.guard import Guard
from inference.metrics import InferenceMetrics
from inference.probation import Probation, ProbationLimits
from inference.runtimes import Rows
from inference.service import ScoringService, ServedModel
from inference.shadow import Shadow
from testbed.waiting import wait_until
from tests.inference.inference_process import ServiceProcess, running
from tests.inference.model_versions import Signer, add_version, deploy, deployed

HEALTHY = [600.0, 40.0, 150.0, 48.5]
LIMITS = ProbationLimits(lasts_s=60, least_requests=10, most_failed=0.1, p99_s=0.05)


# -- the probation of a new champion ------------------------------------------------------------------


def test_a_champion_that_keeps_to_its_limits_is_kept() -> None:
    probation = Probation(LIMITS, began=0)
    assert all(probation.note(0.001, failed=number % 20 == 0) is None for number in range(1000))


def test_a_champion_that_fails_is_given_up_once_there_were_enough_requests() -> None:
    probation = Probation(LIMITS, began=0)
    told = [probation.note(0.001, failed=number % 3 == 0) for number in range(12)]
    assert told[:9] == [None] * 9
    assert told[9] == "4 of its first 10 requests failed; expected at most 10.0%"


def test_a_slow_champion_is_given_up_by_its_p99_and_not_by_one_slow_request() -> None:
    probation = Probation(LIMITS, began=0)
    assert all(probation.note(0.001, failed=False) is None for _ in range(199))
    assert probation.note(2.0, failed=False) is None
    told = [probation.note(0.2, failed=False) for _ in range(10)]
    assert any(why and "p99 is 200 ms; expected at most 50 ms" in why for why in told)


def test_a_probation_ends() -> None:
    assert not Probation(LIMITS, began=100).is_over(159)
    assert Probation(LIMITS, began=100).is_over(160)


# -- switching, with models made here -------------------------------------------------------------------


class Constant:
    """A model that says the same of every reading, after a while, or fails for some."""

    platform = "made here"

    def __init__(self, probability: float = 0.1, fails_above: float = float("inf")) -> None:
        self.probability = probability
        self.fails_above = fails_above

    def probabilities(self, rows: Rows) -> npt.NDArray[np.float32]:
        given = np.full(len(rows), self.probability, dtype=np.float32)
        given[rows[:, 0] > self.fails_above] = np.nan
        return given


class Parts:
    """A worker's, on a models folder of made versions."""

    def __init__(self, models: Path, manifest: Manifest) -> None:
        self.models = models
        self.now = 0.0
        self.metrics = InferenceMetrics()
        self.guard = Guard(LIMITS, lambda: self.now)
        self.shadow = Shadow(self.metrics)
        self.service = ScoringService((self.guard, self.shadow))
        self.runtimes = {version: Constant() for version in "1234"}
        self.unusable: set[str] = set()
        self.manifest = manifest
        self.loaded: Counter[str | None] = Counter()
        store = ModelStore(models / "fan", "fan", None)
        self.champion = Champion(store, self.load, self.service, self.shadow, self.guard, self.metrics)

    def load(self, version: str | None) -> ServedModel:
        assert version
        self.loaded[version] += 1
        if version in self.unusable:
            raise ModelUnusable(f"version {version} is damaged")
        return ServedModel(self.manifest.model_copy(update={"version": version}), self.runtimes[version])

    def score(self, rotation: float = 600.0, times: int = 1) -> str:
        """Ask so often; the version that answered last."""
        for _ in range(times):
            row = np.array([[rotation, 40, 150, 48]], dtype=np.float32)
            answered = self.service.score(self.service.served, row).model.manifest.version
        return answered

    def figure(self, name: str, **labels: str) -> float:
        return self.metrics._registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def parts(tmp_path: Path, bundle: object) -> Parts:
    (tmp_path / "fan").mkdir()
    return Parts(tmp_path, bundle.manifest)  # type: ignore[attr-defined]


def test_a_request_finishes_with_the_model_that_it_began_with(parts: Parts) -> None:
    deploy(parts.models, "1")
    begun_with = parts.champion.load_first()
    deploy(parts.models, "2", previous="1")
    parts.champion.look()
    assert parts.service.served.manifest.version == "2"
    parts.service.score(begun_with, np.array([HEALTHY], dtype=np.float32))
    assert begun_with.manifest.version == "1"


def test_what_a_promotion_or_a_roll_back_switches_to_is_loaded_before(parts: Parts) -> None:
    deploy(parts.models, "1", challenger="2")
    parts.champion.load_first()
    assert parts.loaded == {"1": 1, "2": 1}
    deploy(parts.models, "2", previous="1")
    parts.champion.look()
    deploy(parts.models, "1")
    parts.champion.look()
    assert parts.score() == "1"
    assert parts.loaded == {"1": 1, "2": 1}


def test_an_unusable_version_changes_nothing_and_is_told_once(parts: Parts) -> None:
    deploy(parts.models, "1")
    parts.champion.load_first()
    parts.unusable.add("2")
    deploy(parts.models, "2", previous="1")
    for _ in range(3):
        parts.champion.look()
    assert parts.score() == "1"
    assert parts.figure("fanwatch_inference_model_switches_total", outcome="refused") == 1


def test_a_deployment_that_cannot_be_read_changes_nothing(parts: Parts) -> None:
    deploy(parts.models, "1")
    parts.champion.load_first()
    (parts.models / "fan" / "deployment.json").write_text("{")
    parts.champion.look()
    assert parts.score() == "1"


def test_a_start_with_an_unusable_champion_serves_the_one_before(parts: Parts) -> None:
    parts.unusable.add("2")
    deploy(parts.models, "2", previous="1")
    assert parts.champion.load_first().manifest.version == "1"
    assert parts.score() == "1"


def test_a_start_with_nothing_usable_is_refused(parts: Parts) -> None:
    parts.unusable |= {"1", "2"}
    deploy(parts.models, "2", previous="1")
    with pytest.raises(ModelUnusable, match="version 1 is damaged"):
        parts.champion.load_first()


def test_a_champion_that_fails_where_the_one_before_does_not_is_rolled_back_by_itself(parts: Parts) -> None:
    parts.runtimes["2"] = Constant(fails_above=500)
    deploy(parts.models, "1")
    parts.champion.load_first()
    deploy(parts.models, "2", previous="1")
    parts.champion.look()
    for _ in range(LIMITS.least_requests - 1):
        assert parts.score() == "1", "what it fails is answered by the one before, which says so"
    assert parts.score(rotation=400) == "2"
    assert parts.service.served.manifest.version == "1"
    written = deployed(parts.models)
    assert (written.champion, written.previous) == ("1", None)
    assert "by itself, version 2: 9 of its first 10 requests failed" in written.why
    parts.champion.look()
    assert parts.score() == "1"


def test_requests_that_no_model_can_score_roll_nothing_back(parts: Parts) -> None:
    for version in "12":
        parts.runtimes[version] = Constant(fails_above=500)
    deploy(parts.models, "1")
    parts.champion.load_first()
    deploy(parts.models, "2", previous="1")
    parts.champion.look()
    for _ in range(5 * LIMITS.least_requests):
        with pytest.raises(Exception, match="instead of a probability"):
            parts.score()
    assert parts.score(rotation=400) == "2"


def test_after_its_probation_a_champion_is_nobodys_challenger(parts: Parts) -> None:
    parts.runtimes["2"] = Constant(fails_above=500)
    deploy(parts.models, "1")
    parts.champion.load_first()
    deploy(parts.models, "2", previous="1")
    parts.champion.look()
    parts.now = LIMITS.lasts_s
    for _ in range(3 * LIMITS.least_requests):
        with pytest.raises(Exception, match="instead of a probability"):
            parts.score()
    assert parts.service.served.manifest.version == "2"


def test_a_way_back_by_hand_is_no_trial(parts: Parts) -> None:
    parts.runtimes["1"] = Constant(fails_above=500)
    deploy(parts.models, "2", previous="1")
    parts.champion.load_first()
    deploy(parts.models, "1")
    parts.champion.look()
    for _ in range(3 * LIMITS.least_requests):
        with pytest.raises(Exception, match="instead of a probability"):
            parts.score()
    assert parts.service.served.manifest.version == "1"


def test_a_restart_during_the_probation_begins_it_anew(parts: Parts) -> None:
    parts.runtimes["2"] = Constant(fails_above=500)
    deploy(parts.models, "2", previous="1")
    parts.champion.load_first()
    assert parts.score(times=LIMITS.least_requests) == "1"
    assert parts.service.served.manifest.version == "1"


def test_a_roll_back_that_cannot_be_written_still_happens_in_this_process(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    parts.runtimes["2"] = Constant(fails_above=500)
    deploy(parts.models, "2", previous="1")
    parts.champion.load_first()
    monkeypatch.setattr("model_folder.folder.ModelFolder.replace", full)
    assert parts.score(times=LIMITS.least_requests) == "1"
    assert parts.service.served.manifest.version == "1"
    assert deployed(parts.models).champion == "2"


# -- the shadow -----------------------------------------------------------------------------------------


def test_a_challenger_is_compared_and_answers_nothing(parts: Parts) -> None:
    parts.runtimes["2"] = Constant(probability=0.9)
    deploy(parts.models, "1", challenger="2")
    parts.champion.load_first()
    assert parts.score(times=7) == "1"
    pair = {"champion": "fan:1", "challenger": "fan:2"}
    wait_until(
        lambda: parts.figure("fanwatch_inference_shadow_rows_total", **pair) == 7,
        within_s=20,
        what="comparison",
    )
    assert parts.figure("fanwatch_inference_shadow_agreed_total", **pair) == 0
    assert parts.figure("fanwatch_inference_shadow_faults_total", **pair, by="champion") == 0
    assert parts.figure("fanwatch_inference_shadow_faults_total", **pair, by="challenger") == 7
    for by in ("champion", "challenger"):
        assert parts.figure("fanwatch_inference_shadow_seconds_count", **pair, by=by) == 7


def test_a_challenger_that_fails_or_hangs_holds_nobody_up(parts: Parts) -> None:
    class Hanging(Constant):
        released = threading.Event()

        def probabilities(self, rows: Rows) -> npt.NDArray[np.float32]:  # noqa: ARG002 - as every model has it
            self.released.wait(60)
            raise RuntimeError("out of memory")

    parts.runtimes["2"] = Hanging()
    deploy(parts.models, "1", challenger="2")
    parts.champion.load_first()
    assert parts.score(times=200) == "1"
    assert parts.figure("fanwatch_inference_shadow_rows_left_out_total") >= 100
    Hanging.released.set()
    wait_until(
        lambda: parts.figure("fanwatch_inference_shadow_failures_total") >= 64, within_s=20, what="failures"
    )
    assert parts.score() == "1"


# -- the real service -----------------------------------------------------------------------------------


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.make(tmp_path / "keys")


@pytest.fixture
def models(tmp_path: Path, signer: Signer) -> Path:
    for version in ("1", "2"):
        add_version(tmp_path / "models", version, signer)
    deploy(tmp_path / "models", "1")
    return tmp_path / "models"


@pytest.fixture
def service(models: Path, signer: Signer) -> Iterator[ServiceProcess]:
    with running(models_dir=models, model_public_keys=signer.public_key, workers=2) as service:
        service.await_event("model_ready", times=2)
        yield service


class Callers:
    """Ask without a pause, and note what answered."""

    def __init__(self, url: str, threads: int = 2) -> None:
        self.url = url
        self.versions: Counter[str] = Counter()
        self.not_answered: list[str] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def _run(self) -> None:
        body = {"inputs": [{"name": "signals", "datatype": "FP32", "shape": [1, 4], "data": HEALTHY}]}
        with requests.Session() as session:
            while not self._stop.is_set():
                answer = session.post(f"{self.url}/v2/models/fan/infer", json=body, timeout=20)
                with self._lock:
                    if answer.ok:
                        self.versions[answer.json()["model_version"]] += 1
                    else:
                        self.not_answered.append(f"{answer.status_code} {answer.text[:200]}")

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def answered(callers: Callers, version: str, at_least: int) -> Callable[[], bool]:
    return lambda: callers.versions[version] >= at_least


def test_no_request_is_dropped_when_versions_change_under_load(service: ServiceProcess, models: Path) -> None:
    with Callers(service.url) as callers:
        wait_until(answered(callers, "1", 100), within_s=60, what="answers of the first version")
        deploy(models, "2", previous="1")
        wait_until(answered(callers, "2", 100), within_s=60, what="answers of the second version")
        before = callers.versions["1"]
        deploy(models, "1")
        wait_until(lambda: callers.versions["1"] >= before + 100, within_s=60, what="the first version again")
    assert callers.not_answered == []
    assert set(callers.versions) == {"1", "2"}


def test_a_version_that_is_not_signed_is_refused_while_the_other_goes_on(
    service: ServiceProcess, models: Path
) -> None:
    add_version(models, "3", None)
    deploy(models, "3", previous="1")
    [refused] = service.await_event("model_refused")
    assert "is not signed" in refused["error"]
    assert refused["still_served"] == "1"
    with Callers(service.url, threads=1) as callers:
        wait_until(answered(callers, "1", 10), within_s=60, what="answers of the first version")
    assert set(callers.versions) == {"1"}
    assert callers.not_answered == []


def test_metrics_name_the_one_model_that_is_served(service: ServiceProcess, models: Path) -> None:
    deploy(models, "2", previous="1")
    service.await_event("model_switched", times=2)

    def served() -> set[str]:
        lines = requests.get(f"{service.url}/metrics", timeout=20).text.splitlines()
        return {
            line for line in lines if line.startswith("fanwatch_inference_model{") and line.endswith(" 1.0")
        }

    deadline = time.monotonic() + 20
    while len(served()) != 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [line for line in served() if 'model="fan:2"' in line]
    assert len(served()) == 1
