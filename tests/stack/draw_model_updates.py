"""Draws a switch, a roll-back and a model that is given up: `python -m tests.stack.draw_model_updates`."""

import tempfile
import time
from collections import Counter
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import requests

from evaluation.study_plots import BLUE, GREY, ORANGE, STYLE
from testbed.site import Site
from testbed.waiting import wait_until
from tests.inference.model_versions import Signer
from tests.stack.judged_readings import WITHIN_S, Verdicts, await_verdicts, judge
from tests.stack.versioned_plant import VersionedPlant

OUT = Path("docs/plots/model-updates.png")
_BIN_S = 0.1
_COLOURS = {"fan:1": BLUE, "fan:2": ORANGE, "fan:3": GREY}


def main() -> None:
    """Run the stack, draw, and print how long each change took."""
    changes: list[tuple[float, str]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        plant = VersionedPlant(Site(folder / "site"), folder / "models", Signer.make(folder / "keys"))

        def change(name: str, act: object, verdicts: Verdicts, model: str) -> None:
            began = time.monotonic()
            changes.append((began, name))
            act()  # type: ignore[operator]
            await_verdicts(verdicts, model, 1)
            print(f"{name}: first verdict of {model} after {time.monotonic() - began:.2f} s")  # noqa: T201
            await_verdicts(verdicts, model, 1000)

        def story(verdicts: Verdicts) -> None:
            await_verdicts(verdicts, "fan:1", 500)
            changes.append((time.monotonic(), "shadow 2"))
            plant.fan.shadow("2", "try it")
            wait_until(
                lambda: "shadow_rows_total{" in _metrics(plant), within_s=WITHIN_S, what="a comparison"
            )
            await_verdicts(verdicts, "fan:1", 1000)
            change("use 2", lambda: plant.fan.use("2", "newer"), verdicts, "fan:2")
            change("rollback", lambda: plant.fan.roll_back("by hand"), verdicts, "fan:1")
            changes.append((time.monotonic(), "use 3, which fails"))
            plant.fan.use("3", "it passed the gate")
            wait_until(lambda: "by itself" in _why(plant), within_s=WITHIN_S, what="the way back")
            changes.append((time.monotonic(), "given up by itself"))
            await_verdicts(verdicts, "fan:1", 1000)

        with plant.broker, plant.inference, plant.predictor:
            verdicts = judge(plant.broker, "drawn", story)
    _draw(verdicts, changes)


def _why(plant: VersionedPlant) -> str:
    deployment = plant.fan.deployment()
    return "" if deployment is None else deployment.why


def _metrics(plant: VersionedPlant) -> str:
    return requests.get(f"{plant.inference.url}/metrics", timeout=20).text


def _draw(verdicts: Verdicts, changes: list[tuple[float, str]]) -> None:
    begin = verdicts.arrived[0]
    counts = Counter(
        (model, int((at - begin) / _BIN_S))
        for model, at in zip(verdicts.models, verdicts.arrived, strict=True)
    )
    bins = range(1 + max(number for _, number in counts))
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
        for model, colour in _COLOURS.items():
            rates = [counts[model, number] / _BIN_S for number in bins]
            if any(rates):
                axes.step(
                    [number * _BIN_S for number in bins], rates, where="post", color=colour, label=model
                )
        for at, name in changes:
            axes.axvline(at - begin, color=GREY, linewidth=0.8, linestyle=":")
            axes.text(at - begin, axes.get_ylim()[1], f" {name}", rotation=90, va="top", fontsize=8)
        axes.set_xlabel("seconds")
        axes.set_ylabel("verdicts a second")
        axes.legend(loc="lower right")
        OUT.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(OUT)
    plt.close(figure)


if __name__ == "__main__":
    main()
