"""Whatever is sent, the service answers with a client's error or a score, never with an error of its own."""

import json

from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NUMBERS = st.one_of(
    st.floats(),
    st.integers(),
    st.integers(min_value=-(10**400), max_value=10**400),
    st.sampled_from([1e39, -1e39, 3.5e38, 1e-320, 0, -0.0, 1e308]),
)
JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=6), st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=20,
)
ALMOST_TENSORS = st.fixed_dictionaries(
    {
        "shape": st.one_of(st.lists(st.integers(-1, 5), max_size=3), JSON_VALUES),
        "data": st.one_of(
            st.lists(NUMBERS, max_size=12), st.lists(st.lists(NUMBERS, max_size=5), max_size=3), JSON_VALUES
        ),
    },
    optional={
        "name": st.one_of(st.just("signals"), JSON_VALUES),
        "datatype": st.one_of(st.just("FP32"), JSON_VALUES),
    },
)
ALMOST_REQUESTS = st.fixed_dictionaries(
    {"inputs": st.lists(ALMOST_TENSORS, max_size=2)},
    optional={"id": JSON_VALUES, "outputs": JSON_VALUES, "params": st.lists(NUMBERS, max_size=5)},
)
BODIES = st.one_of(
    st.binary(max_size=200),
    JSON_VALUES.map(lambda value: json.dumps(value).encode()),
    ALMOST_REQUESTS.map(lambda value: json.dumps(value).encode()),
)
# A client serves any number of requests, so one for all examples is what is meant.
QUIET = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUIET
@given(body=BODIES, path=st.sampled_from(["/v2/models/fan/infer", "/score"]))
def test_no_body_brings_about_an_error_of_the_service(client: FlaskClient, body: bytes, path: str) -> None:
    answer = client.post(path, data=body, content_type="application/json")
    assert answer.status_code in {200, 400, 413}
    assert answer.json
    assert ("error" in answer.json) == (answer.status_code != 200)


@QUIET
@given(
    body=st.binary(max_size=50),
    path=st.text(max_size=30),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"]),
    content_type=st.one_of(
        st.none(), st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
    ),
)
def test_no_request_at_all_brings_about_an_error_of_the_service(
    client: FlaskClient, body: bytes, path: str, method: str, content_type: str | None
) -> None:
    # As WSGI has it (PEP 3333): the test's client would take "//x" for a host, which a server does not.
    as_wsgi = {"PATH_INFO": ("/" + path).encode().decode("latin-1")}
    answer = client.open("/", method=method, data=body, content_type=content_type, environ_overrides=as_wsgi)
    assert answer.status_code < 500


@QUIET
@given(
    rows=st.lists(
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=4, max_size=4),
        min_size=1,
        max_size=8,
    )
)
def test_every_finite_row_gets_a_probability_in_0_to_1(client: FlaskClient, rows: list[list[float]]) -> None:
    answer = client.post(
        "/v2/models/fan/infer", json={"inputs": [{"name": "signals", "shape": [len(rows), 4], "data": rows}]}
    )
    assert answer.status_code == 200
    assert answer.json
    probability, fault = (tensor["data"] for tensor in answer.json["outputs"])
    assert len(probability) == len(fault) == len(rows)
    assert all(0 <= value <= 1 for value in probability)
    assert fault == [int(value >= 0.5) for value in probability]
