from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.bundle import Manifest
from contract.command import Condition
from monitor.diagnosis.plant import Plant, PlantError
from monitor.diagnosis.reasons import Reasons
from monitor.diagnosis.shapley import NotScored, shapley_values, usual_rows
from tests.diagnosis.told import REPOSITORY, Told, score

PLANT = Plant.read()
RANGES = [plan.usual for plan in PLANT.signals.values()]

Rows = Sequence[Sequence[float]]


def test_the_sentence_names_the_signals_their_usual_values_and_what_to_look_at() -> None:
    why, inspect, parts = Reasons(PLANT, score).of_fault((430.0, 41.0, 231.0, 48.0))
    assert why == (
        "Rotation 430 r/min (usual 500 to 700) and vibration 231 (usual 100 to 200): look at bearing and belt."
    )
    assert inspect == "bearing and belt"
    assert [part.signal for part in parts[:2]] == ["rotation", "vibration"]
    assert sum(part.share for part in parts) == pytest.approx(1)


def test_without_a_model_to_ask_the_distance_from_the_usual_range_explains() -> None:
    def away(_: Rows) -> list[float]:
        raise NotScored("the scoring service is away")

    for reasons in (Reasons(PLANT, None), Reasons(PLANT, away)):
        why, inspect, parts = reasons.of_fault((430.0, 41.0, 231.0, 48.0))
        assert "Rotation 430 r/min" in why
        assert inspect == "bearing and belt"
        assert [part.share for part in parts] == pytest.approx([0.53, 0.47, 0, 0], abs=0.01)


def test_a_machine_of_which_nothing_is_known_is_explained_in_words() -> None:
    told = Told(plant=Plant())
    for _ in range(5):
        told.tell((), probability=0.999)  # type: ignore[arg-type]
    [finding] = told.found
    assert finding.why == "The verdicts say that the machine is faulty."
    assert finding.contributions == ()


def test_the_model_is_asked_once_for_each_alarm_and_never_for_a_reading() -> None:
    asked = []

    def counting(rows: Rows) -> list[float]:
        asked.append(len(rows))
        return score(rows)

    told = Told()
    told.diagnosis._knowledge.reasons._score = counting
    told.run(Condition.HEALTHY, 100)
    assert asked == []
    told.run(Condition.FAULTY, 100)
    assert asked == [16 * 16]


def linear(weights: Sequence[float]) -> object:
    return lambda rows: [sum(w * v for w, v in zip(weights, row, strict=True)) for row in rows]


@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(-5, 5)), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_of_a_linear_model_each_signals_value_is_its_weight_times_its_distance(
    signals: list[tuple[float, float]],
) -> None:
    weights, values = zip(*signals, strict=True)
    ranges = [(-1.0, 1.0)] * len(values)
    found = shapley_values(linear(weights), values, ranges)  # type: ignore[arg-type]
    background = usual_rows(ranges, 16)
    means = [sum(column) / 16 for column in zip(*background, strict=True)]
    expected = [w * (v - mean) for w, v, mean in zip(weights, values, means, strict=True)]
    assert found == pytest.approx(expected, abs=1e-9)


def test_exact_values_add_up_to_the_score_less_the_usual_score() -> None:
    values = (430.0, 52.0, 231.0, 48.0)
    found = shapley_values(score, values, RANGES)
    usual = score(usual_rows(RANGES, 16))
    assert sum(found) == pytest.approx(score([values])[0] - sum(usual) / 16, abs=1e-6)


def test_of_forty_signals_the_two_that_matter_are_found_by_permutations_in_bounded_batches() -> None:
    sizes = []

    def wide(rows: Rows) -> list[float]:
        sizes.append(len(rows))
        return [
            1.0 if row[7] > 2 and row[23] > 2 else 0.5 if row[7] > 2 or row[23] > 2 else 0.0 for row in rows
        ]

    values = [0.5] * 40
    values[7] = values[23] = 5.0
    found = shapley_values(wide, values, [(0.0, 1.0)] * 40)
    assert found[7] == pytest.approx(0.5)
    assert found[23] == pytest.approx(0.5)
    assert sum(abs(value) for i, value in enumerate(found) if i not in {7, 23}) == pytest.approx(0)
    assert max(sizes) <= 2048


def test_an_answer_of_the_wrong_length_is_no_score() -> None:
    with pytest.raises(NotScored, match="3 scores for"):
        shapley_values(lambda _: [0.1, 0.2, 0.3], (1.0, 2.0), [(0.0, 1.0)] * 2)


def test_the_shipped_table_fits_the_shipped_model() -> None:
    manifest = Manifest.model_validate_json((REPOSITORY / "models/fan/manifest.json").read_bytes())
    PLANT.check(manifest)


def test_a_plants_own_table_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "plant.toml"
    file.write_text(
        '[signals.pressure]\nusual = [2, 4]\nunit = "bar"\nworn_low = 1\n'
        '[[inspect]]\nwhen = ["pressure low"]\nlook_at = "valve 7"\n'
    )
    why, inspect, _ = Reasons(Plant.read(file), None).of_fault((1.5,))
    assert (why, inspect) == ("Pressure 1.5 bar (usual 2 to 4): look at valve 7.", "valve 7")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[signals.pressure\n", "cannot be read"),
        (
            "[signals.pressure]\nusual = [4, 2]\n",
            "signals.pressure: usual is lowest, then highest value, got 4 and 2",
        ),
        ("[signals.pressure]\nusual = [2, 4]\nworn_low = 3.5\n", "worn_low 3.5 is not below the middle"),
        ("[signals.pressure]\nusal = [2, 4]\n", "signals.pressure.usal: Extra inputs are not permitted"),
        ('[[inspect]]\nwhen = ["flow low"]\nlook_at = "x"\n', "'flow low' names none of the signals: none"),
        (
            '[[inspect]]\nwhen = ["flow down"]\nlook_at = "x"\n',
            "inspect.0.when.0: String should match pattern",
        ),
        (
            '[mode]\nsignal = "flow"\nstopped_below = 1\nrunning_above = 2\n',
            "mode.signal 'flow' is not one of",
        ),
        ('[[maintenance]]\ndevice = "1"\n', "expected either from and to, or weekday, at and hours"),
        (
            '[[maintenance]]\ndevice = "1"\nfrom = 2026-12-01T06:00:00\nto = 2026-12-01T07:00:00\n',
            "need a zone",
        ),
        (
            '[[maintenance]]\ndevice = "1"\nweekday = "sunday"\nat = 02:00:00\nhours = 4\nzone = "Europe/Berlyn"\n',
            "unknown time zone 'Europe/Berlyn'",
        ),
        ("[evidence]\nfalse_fault_rate = 0\n", "evidence.false_fault_rate: Input should be greater than 0"),
        ("[trend]\nclear_at = 0.5\n", "clear_at must be below warn_at"),
    ],
)
def test_a_plants_file_with_a_mistake_is_refused_with_the_key_and_what_was_expected(
    tmp_path: Path, text: str, sentence: str
) -> None:
    file = tmp_path / "plant.toml"
    file.write_text(text)
    with pytest.raises(PlantError) as refused:
        Plant.read(file)
    assert str(refused.value).startswith(str(file))
    assert sentence in str(refused.value)


def test_a_plants_file_of_another_machine_than_the_models_is_refused() -> None:
    manifest = Manifest.model_validate_json((REPOSITORY / "models/fan/manifest.json").read_bytes())
    plant = Plant.model_validate({"signals": {"pressure": {"usual": [2, 4]}}})
    with pytest.raises(PlantError, match="names pressure, the model scores rotation, temperature"):
        plant.check(manifest)
