"""Steps are done once, in their order; what was read or left and is no longer so makes them be done again."""

import fcntl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from training.fan import FAN_SIGNALS
from training.settings import PipelineSettings
from training.steps.order import Column, Order
from training.steps.runner import Outcome, Run, Step, StepFailed, Told, go, read_order, write_order


class Works:
    """Three steps that count how often they were done; the second reads a file outside."""

    def __init__(self, folder: Path) -> None:
        self.done: list[str] = []
        self.outside = folder / "outside.txt"
        self.outside.write_text("1")
        self.fails = False
        self.refuses = False
        self.folder = folder / "run"
        self.order = Order(
            name="fan",
            columns=tuple(Column(signal=spec, heading=spec.name) for spec in FAN_SIGNALS),
            models_dir=folder,
        )
        self.clock = datetime(2026, 11, 25, tzinfo=UTC)
        self.told: list[Told] = []

    def now(self) -> datetime:
        self.clock += timedelta(seconds=2)
        return self.clock

    def run(self, until: str | None = None) -> Outcome:
        self.done, self.told = [], []
        run = Run(self.folder, self.order, PipelineSettings(), self.now)
        return go(run, self.steps(), tell=self.told.append, until=until)

    def steps(self) -> list[Step]:
        return [
            Step("one", "first", ("seed",), (), self.work("one", lambda: "1")),
            Step(
                "two",
                "second",
                (),
                ("one",),
                self.work("two", self.outside.read_text),
                lambda _: [self.outside],
            ),
            Step("three", "third", ("epochs",), ("two",), self.work("three", lambda: "3")),
        ]

    def work(self, name: str, content: Callable[[], str]) -> Callable[[Run], Outcome]:
        def do(run: Run) -> Outcome:
            self.done.append(name)
            (run.of(name) / "result.txt").write_text(content())
            if self.fails and name == "two":
                raise StepFailed("the second cannot")
            return Outcome(f"{name} is done", refused=self.refuses and name == "two")

        return do


@pytest.fixture
def works(tmp_path: Path) -> Works:
    return Works(tmp_path)


def test_each_step_is_done_once_and_says_how_far_it_is(works: Works) -> None:
    assert works.run().told == "three is done"
    assert works.done == ["one", "two", "three"]
    assert [f"{told.number}/{told.of} {told.name}: {told.text}" for told in works.told][:2] == [
        "1/3 one: first",
        "1/3 one: one is done (2.0 s)",
    ]
    assert works.run().told == "three is done"
    assert works.done == []
    assert [told.text for told in works.told] == [
        f"done before: {n} is done" for n in ("one", "two", "three")
    ]


def test_what_failed_is_begun_again_and_what_came_before_it_is_kept(works: Works) -> None:
    works.fails = True
    with pytest.raises(StepFailed):
        works.run()
    works.fails = False
    works.run()
    assert works.done == ["two", "three"]


def test_a_step_that_was_killed_is_begun_again_in_an_empty_folder(works: Works) -> None:
    works.run(until="one")
    (works.folder / "two").mkdir()
    (works.folder / "two" / "half").write_text("half")
    works.run()
    assert works.done == ["two", "three"]
    assert not (works.folder / "two" / "half").exists()


def test_a_file_outside_that_changed_makes_its_step_and_what_follows_be_done_again(works: Works) -> None:
    works.run()
    works.outside.write_text("2")
    works.run()
    assert works.done == ["two", "three"]


def test_an_artefact_that_was_damaged_is_made_again_and_nothing_else_when_it_comes_out_the_same(
    works: Works,
) -> None:
    works.run()
    (works.folder / "one" / "result.txt").write_text("damaged")
    works.run()
    assert works.done == ["one"]
    (works.folder / "two" / "more.txt").write_text("a stranger")
    works.run()
    assert works.done == ["two"]


def test_an_option_that_changed_makes_only_the_step_be_done_again_that_asks_for_it(works: Works) -> None:
    works.run()
    works.order = works.order.model_copy(update={"epochs": 7})
    works.run()
    assert works.done == ["three"]


def test_two_processes_do_not_go_on_with_one_run(works: Works) -> None:
    works.run(until="one")
    with (works.folder / ".lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StepFailed, match="another process goes on with this run"):
            works.run()
    works.run()
    assert works.done == ["two", "three"]


def test_a_refusal_ends_the_run_also_when_it_is_asked_again(works: Works) -> None:
    works.refuses = True
    assert works.run().refused
    assert works.done == ["one", "two"]
    assert works.run().refused
    assert works.done == []


def test_an_order_is_what_it_was_and_a_folder_without_one_gets_a_sentence(
    works: Works, tmp_path: Path
) -> None:
    write_order(works.folder, works.order)
    assert read_order(works.folder) == works.order
    with pytest.raises(StepFailed, match="names a folder of a run"):
        read_order(tmp_path)
    (works.folder / "order.json").write_text('{"format": 2}')
    with pytest.raises(StepFailed, match="is no order of this version"):
        read_order(works.folder)
