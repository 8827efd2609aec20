"""The core: one outcome for each message, in order, whatever the scoring service does."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.bundle import ModelSignature, SignalSpec
from contract.reading import Reading
from contract.rejection import Reason
from contract.timestamp import format_timestamp
from contract.topics import Topics
from predictor.examination import Examiner
from predictor.judgement import Judge, Message
from predictor.scoring import Scores, ScoringRefused, ScoringUnavailable, ServedModel

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def signature(*names: str) -> ModelSignature:
    return ModelSignature(
        signals=tuple(SignalSpec(name=name, unit="x", minimum=-1000, maximum=1000) for name in names),
        threshold=0.5,
    )


@dataclass
class MeanModel:
    """A model in memory: the probability is the first column divided by 1000."""

    version: str = "1"
    signature: ModelSignature = field(default_factory=lambda: signature("a", "b"))
    refuses: set[float] = field(default_factory=set)
    unavailable: bool = False
    requests: list[int] = field(default_factory=list)

    def served_model(self) -> ServedModel:
        if self.unavailable:
            raise ScoringUnavailable("away")
        return ServedModel("mean", self.version, self.signature)

    def score(self, rows: Sequence[Sequence[float]]) -> Scores:
        if self.unavailable:
            raise ScoringUnavailable("away")
        self.requests.append(len(rows))
        if any(len(row) != len(self.signature.signals) or row[0] in self.refuses for row in rows):
            raise ScoringRefused("these rows do not suit me")
        probabilities = [abs(row[0]) / 1000 for row in rows]
        return Scores(self.version, probabilities, [int(p >= 0.5) for p in probabilities])


def judge_of(model: MeanModel) -> Judge:
    return Judge(model, Topics(), lambda served: Examiner(served.signature, Topics()), lambda: NOW)


def message(a: float, seq: int = 0, **more: float) -> Message:
    reading = Reading(
        deviceID="5", timeStamp=format_timestamp(NOW), seq=seq, bootID=None, **{"a": a, "b": 2.0, **more}
    )
    return Message("fan/messages/5", reading.to_json())


def test_a_batch_becomes_verdicts_on_the_matching_topics_in_one_request() -> None:
    model = MeanModel()
    flat = Message("fan/messages", message(700).payload)
    outcomes = judge_of(model).judge([message(100), flat])
    assert [outcome.topic for outcome in outcomes] == ["fan/anomaly/5", "fan/anomaly"]
    bodies = [json.loads(outcome.body) for outcome in outcomes]
    assert [(body["fault"], body["probability"], body["model"]) for body in bodies] == [
        (0, 0.1, "mean:1"),
        (1, 0.7, "mean:1"),
    ]
    assert bodies[0]["a"] == 100
    assert model.requests == [2]


@given(st.lists(st.sampled_from(["good", "bad", "refused"]), min_size=1, max_size=40))
def test_every_message_gets_exactly_one_outcome_at_its_own_place(kinds: list[str]) -> None:
    model = MeanModel(refuses={13.0})
    messages = [
        {"good": message(100, seq), "bad": Message("fan/messages/5", b"nope"), "refused": message(13, seq)}[
            kind
        ]
        for seq, kind in enumerate(kinds)
    ]
    outcomes = judge_of(model).judge(messages)
    assert len(outcomes) == len(kinds)
    for seq, (kind, outcome) in enumerate(zip(kinds, outcomes, strict=True)):
        if kind == "good":
            assert json.loads(outcome.body)["seq"] == seq
        else:
            expected = Reason.NOT_A_READING if kind == "bad" else Reason.REFUSED_BY_MODEL
            assert outcome.topic == "fan/rejected"
            assert outcome.reason is expected


def test_a_batch_of_bad_messages_asks_the_model_for_nothing() -> None:
    model = MeanModel()
    judge_of(model).judge([Message("fan/messages", b"nope")])
    assert model.requests == []


def test_while_scoring_is_away_nothing_is_decided_and_the_same_batch_can_be_judged_later() -> None:
    model = MeanModel(unavailable=True)
    judge = judge_of(model)
    with pytest.raises(ScoringUnavailable):
        judge.judge([message(100)])
    model.unavailable = False
    assert len(judge.judge([message(100)])) == 1


def test_a_new_version_of_the_same_signature_is_named_by_its_verdicts_without_scoring_twice() -> None:
    model = MeanModel()
    judge = judge_of(model)
    judge.judge([message(100)])
    model.version = "2"
    outcome = judge.judge([message(100)])[0]
    assert json.loads(outcome.body)["model"] == "mean:2"
    assert model.requests == [1, 1]


def test_a_new_version_with_other_columns_scores_the_batch_again_in_its_own_order() -> None:
    model = MeanModel()
    judge = judge_of(model)
    judge.judge([message(100)])
    model.version, model.signature = "2", signature("b", "a")
    outcome = judge.judge([message(100, b=900.0)])[0]
    assert json.loads(outcome.body)["probability"] == 0.9


def test_a_new_version_that_needs_another_signal_dead_letters_what_lacks_it() -> None:
    model = MeanModel()
    judge = judge_of(model)
    judge.judge([message(100)])
    model.version, model.signature = "2", signature("a", "b", "c")
    outcomes = judge.judge([message(100), message(100, c=1.0)])
    assert [outcome.reason for outcome in outcomes] == [Reason.SIGNAL_MISSING, None]
