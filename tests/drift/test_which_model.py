"""Which version is watched, and what happens when its reference is missing or damaged."""

from functools import partial
from pathlib import Path

import pytest

from contract.verdict import Verdict
from drift.following import Follower
from drift.trained import NoReference, read_trained
from drift.watch import WatchLimits
from tests.drift.fleets import MODELS, flow_reference, write_bundle


def verdict(model: str, flow: float = 5.0, device: str = "1") -> Verdict:
    return Verdict.model_validate(
        {
            "deviceID": device,
            "timeStamp": "2026-11-25T10:00:00.000Z",
            "fault": 0,
            "probability": 0.05,
            "model": model,
            "flow": flow,
        }
    )


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def follower(tmp_path: Path, clock: Clock) -> Follower:
    return Follower("fan", partial(read_trained, tmp_path), WatchLimits(), clock)


def feed(follower: Follower, model: str, times: int) -> None:
    for number in range(times):
        follower.take(verdict(model, 10 * (number % 100) / 100, str(number % 3)))


class TestTheReferenceOnDisk:
    def test_that_of_the_committed_bundle_is_found(self) -> None:
        trained = read_trained(MODELS, "fan:1")
        assert trained.units == {
            "rotation": "r/min",
            "temperature": "degrees C",
            "vibration": "a.u.",
            "sound": "dB",
        }
        assert trained.reference.rows > 10_000

    def test_a_version_in_a_folder_of_its_own_goes_before_the_bundle_beside_it(self, tmp_path: Path) -> None:
        write_bundle(tmp_path / "fan", "1", flow_reference())
        write_bundle(tmp_path / "fan" / "2", "2", flow_reference(5, 15))
        assert read_trained(tmp_path, "fan:1").reference.signals["flow"][0] == 0
        assert read_trained(tmp_path, "fan:2").reference.signals["flow"][0] == 5

    def test_a_version_that_is_not_there_is_named_with_what_is(self, tmp_path: Path) -> None:
        write_bundle(tmp_path / "fan", "1", flow_reference())
        with pytest.raises(NoReference, match="holds fan:1, expected fan:2"):
            read_trained(tmp_path, "fan:2")

    def test_a_reference_that_is_not_the_packed_one_is_refused(self, tmp_path: Path) -> None:
        write_bundle(tmp_path / "fan", "1", flow_reference())
        file = tmp_path / "fan" / "reference.json"
        file.write_bytes(file.read_bytes() + b"\n")
        with pytest.raises(NoReference, match="copy the bundle again"):
            read_trained(tmp_path, "fan:1")

    def test_an_older_bundle_without_a_reference_says_what_to_do(self, tmp_path: Path) -> None:
        write_bundle(tmp_path / "fan", "1", flow_reference())
        file = tmp_path / "fan" / "manifest.json"
        file.write_text(file.read_text().replace("reference.json", "model.tflite"))
        with pytest.raises(NoReference, match="train it again"):
            read_trained(tmp_path, "fan:1")

    @pytest.mark.parametrize("content", [b"", b"{}", b"\xff", flow_reference().replace(b"flow", b"flux")])
    def test_a_reference_that_is_none_is_refused(self, tmp_path: Path, content: bytes) -> None:
        write_bundle(tmp_path / "fan", "1", content)
        with pytest.raises(NoReference):
            read_trained(tmp_path, "fan:1")

    def test_no_folder_at_all_names_the_setting(self, tmp_path: Path) -> None:
        with pytest.raises(NoReference, match="FANWATCH_MODELS_DIR"):
            read_trained(tmp_path / "none", "fan:1")

    @pytest.mark.parametrize("version", ["..", ".", ".hidden"])
    def test_a_version_cannot_lead_out_of_the_folder(self, tmp_path: Path, version: str) -> None:
        write_bundle(tmp_path, version.strip(".") or "x", flow_reference())
        assert verdict(f"fan:{version}").model, "the contract takes it"
        with pytest.raises(NoReference, match="names no version"):
            read_trained(tmp_path, f"fan:{version}")


class TestFollowing:
    def test_a_safe_update_brings_its_own_reference(self, follower: Follower, tmp_path: Path) -> None:
        write_bundle(tmp_path / "fan" / "1", "1", flow_reference())
        write_bundle(tmp_path / "fan" / "2", "2", flow_reference(100, 110))
        feed(follower, "fan:1", 600)
        assert (follower.snapshot().model, follower.snapshot().findings) == ("fan:1", ())
        feed(follower, "fan:2", 600)
        known = follower.snapshot()
        # The readings are the same, and nothing like what version 2 has learned.
        assert (known.model, known.switches) == ("fan:2", 2)
        assert [finding.kind for finding in known.findings] == ["season"]
        feed(follower, "fan:1", 600)
        assert (follower.snapshot().model, follower.snapshot().findings) == ("fan:1", ())

    def test_while_two_versions_answer_in_turn_the_first_is_watched_on(
        self, follower: Follower, tmp_path: Path
    ) -> None:
        write_bundle(tmp_path / "fan" / "1", "1", flow_reference())
        write_bundle(tmp_path / "fan" / "2", "2", flow_reference())
        feed(follower, "fan:1", 60)
        for _ in range(100):
            feed(follower, "fan:2", 10)
            feed(follower, "fan:1", 1)
        known = follower.snapshot()
        assert (known.model, known.switches) == ("fan:1", 1)
        assert known.of_another == 19 + 1000  # the first 19 came before it was taken up

    def test_verdicts_of_another_model_are_left_alone(self, follower: Follower, tmp_path: Path) -> None:
        write_bundle(tmp_path / "pump", "1", flow_reference(), name="pump")
        feed(follower, "pump:1", 100)
        assert (follower.snapshot().model, follower.snapshot().of_another) == (None, 100)

    def test_a_missing_reference_is_looked_for_again_and_said_once(
        self, follower: Follower, tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        feed(follower, "fan:1", 200)
        trouble = follower.snapshot().trouble
        assert trouble is not None
        assert "FANWATCH_MODELS_DIR" in trouble
        assert capsys.readouterr().out.count("no_reference") == 1
        write_bundle(tmp_path / "fan", "1", flow_reference())
        feed(follower, "fan:1", 200)
        assert follower.snapshot().model is None, "not yet"
        clock.now = 31
        feed(follower, "fan:1", 200)
        assert (follower.snapshot().model, follower.snapshot().trouble) == ("fan:1", None)

    def test_a_new_version_without_a_reference_takes_the_old_findings_with_it(
        self, follower: Follower, tmp_path: Path
    ) -> None:
        write_bundle(tmp_path / "fan" / "1", "1", flow_reference(100, 110))
        feed(follower, "fan:1", 600)
        assert follower.snapshot().findings
        feed(follower, "fan:2", 100)
        assert (follower.snapshot().model, follower.snapshot().findings) == (None, ())

    def test_what_begins_and_ends_is_one_line_each(
        self, follower: Follower, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write_bundle(tmp_path / "fan" / "1", "1", flow_reference())
        for number in range(2000):
            follower.take(verdict("fan:1", 9 + (number % 100) / 100, str(number % 3)))
        feed(follower, "fan:1", 2000)
        out = capsys.readouterr().out
        assert (out.count("drift_began"), out.count("drift_ended")) == (1, 1)
        assert "flow is around" in out
