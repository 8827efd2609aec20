"""Models change while readings flow at 500 a second: none is lost, and every verdict names the model that gave it."""

from collections.abc import Iterator
from itertools import groupby

import pytest
import requests

from edge_manager.models.shadow_report import comparisons
from testbed.site import Site
from testbed.waiting import wait_until
from tests.inference.model_versions import Signer
from tests.stack.judged_readings import WITHIN_S, Verdicts, await_verdicts, judge
from tests.stack.versioned_plant import VersionedPlant


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VersionedPlant]:
    folder = tmp_path_factory.mktemp("life")
    made = VersionedPlant(Site(folder / "site"), folder / "models", Signer.make(folder / "keys"))
    with made.broker, made.inference, made.predictor:
        yield made


def test_a_switch_and_a_roll_back_lose_nothing_and_show_in_the_verdicts(plant: VersionedPlant) -> None:
    def story(verdicts: Verdicts) -> None:
        await_verdicts(verdicts, "fan:1", 500)
        plant.fan.use("2", "a newer one")
        await_verdicts(verdicts, "fan:2", 500)
        plant.fan.roll_back("by hand")
        await_verdicts(verdicts, "fan:1", 500)

    verdicts = judge(plant.broker, "switch", story)
    # The predictor asks through one connection, which one worker serves: the models do not mix.
    assert [model for model, _ in groupby(verdicts.models)] == ["fan:1", "fan:2", "fan:1"]


def test_a_challenger_in_the_shadow_is_compared_and_gives_no_verdict(plant: VersionedPlant) -> None:
    def compared() -> bool:
        found = comparisons(requests.get(f"{plant.inference.url}/metrics", timeout=20).text)
        return any(each.challenger == "fan:2" and each.rows >= 1000 for each in found)

    def story(verdicts: Verdicts) -> None:
        plant.fan.shadow("2", "try it")
        wait_until(compared, within_s=WITHIN_S, what="a comparison")
        await_verdicts(verdicts, "fan:1", 100)
        plant.fan.shadow(None, "enough")

    verdicts = judge(plant.broker, "shadow", story)
    assert set(verdicts.models) == {"fan:1"}
    [found] = comparisons(requests.get(f"{plant.inference.url}/metrics", timeout=20).text)
    assert found.agreement == 1.0, "it is the same model"


def test_a_model_that_fails_is_rolled_back_by_itself_and_costs_no_reading(plant: VersionedPlant) -> None:
    def story(verdicts: Verdicts) -> None:
        plant.fan.use("3", "it passed the gate")
        wait_until(lambda: _champion(plant) == "1", within_s=WITHIN_S, what="the way back")
        await_verdicts(verdicts, "fan:1", 500)

    verdicts = judge(plant.broker, "broken", story)
    assert set(verdicts.models) <= {"fan:1", "fan:3"}
    deployment = plant.fan.deployment()
    assert deployment is not None
    assert "by itself, version 3" in deployment.why


def _champion(plant: VersionedPlant) -> str | None:
    deployment = plant.fan.deployment()
    return None if deployment is None else deployment.champion
