"""InfluxDB 1.x over HTTP: statements as one user, with a bounded wait for a server that is not up yet."""

from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

__all__ = ["InfluxDB", "InfluxDBError", "InfluxDBUnreachableError", "StatementTooLongError"]


class InfluxDBError(RuntimeError):
    """InfluxDB refused a statement, or was not there in time."""


class InfluxDBUnreachableError(InfluxDBError):
    """InfluxDB was not there in time."""


class StatementTooLongError(InfluxDBError):
    """The statement ran longer than InfluxDB's query-timeout; a smaller one may do."""


class InfluxDB:
    """One user's connection to InfluxDB.

    Protocol: the 1.x HTTP API, POST /query with the statement in the form field q, HTTP basic authentication
    (https://docs.influxdata.com/influxdb/v1/tools/api/#query-http-endpoint). A statement that fails still
    answers 200, with its error in the body.

    Args:
        url: The server's address.
        username: The user.
        password: Its password.
        wait_s: How long one call goes on trying to reach the server, about, in seconds.
        timeout_s: How long one statement may take, in seconds.
    """

    def __init__(
        self, url: str, username: str, password: str, *, wait_s: float = 0, timeout_s: float = 60
    ) -> None:
        self._query_url = url.rstrip("/") + "/query"
        self._write_url = url.rstrip("/") + "/write"
        self._timeout_s = timeout_s
        self._session = requests.Session()
        # Not from the environment: a proxy or a netrc must not come between two containers.
        self._session.trust_env = False
        self._session.auth = (username, password)
        # Any method: every statement of ours may be executed twice. The pauses are 0.2, 0.4 ... at most 2 seconds.
        retry = Retry(
            total=int(wait_s / 2) + 5 if wait_s else 0,
            backoff_factor=0.1,
            backoff_max=2,
            status_forcelist=(502, 503),
            allowed_methods=None,
        )
        self._session.mount(url, HTTPAdapter(max_retries=retry))

    def execute(self, statement: str, database: str | None = None) -> list[dict[str, Any]]:
        """Executes one statement and returns its series (name, columns, values), if any.

        Raises:
            InfluxDBUnreachableError: The server is not there.
            StatementTooLongError: It took longer than InfluxDB allows.
            InfluxDBError: The user may not, or the statement failed.
        """
        form = {"q": statement} | ({"db": database} if database else {})
        try:
            response = self._session.post(self._query_url, data=form, timeout=(5, self._timeout_s))
        except requests.RequestException as error:
            raise InfluxDBUnreachableError(
                f"InfluxDB cannot be reached at {self._query_url}: {error}"
            ) from error
        try:
            body = response.json()
        except requests.JSONDecodeError:
            body = {"error": response.text[:200]}
        results = body.get("results") or [{}]
        problem = body.get("error") or results[0].get("error")
        # Source of the text: ErrQueryTimeoutLimitExceeded in InfluxDB's query/executor.go.
        if problem and "query-timeout limit exceeded" in problem:
            raise StatementTooLongError(problem)
        if problem or not response.ok:
            raise InfluxDBError(str(problem or f"HTTP status {response.status_code}"))
        return list(results[0].get("series", []))

    def write(self, lines: list[str], database: str = "fan", policy: str = "raw") -> None:
        """Stores points; those without a time get the present.

        Protocol: POST /write, line protocol (https://docs.influxdata.com/influxdb/v1/tools/api/#write-http-endpoint).

        Args:
            lines: One point each.
            database: Where.
            policy: The retention policy.

        Raises:
            InfluxDBUnreachableError: The server is not there.
            InfluxDBError: It does not take them; says why.
        """
        try:
            response = self._session.post(
                self._write_url,
                params={"db": database, "rp": policy},
                data="\n".join(lines).encode(),
                timeout=(5, self._timeout_s),
            )
        except requests.RequestException as error:
            raise InfluxDBUnreachableError(
                f"InfluxDB cannot be reached at {self._write_url}: {error}"
            ) from error
        if not response.ok:
            try:
                problem = response.json()["error"]
            except (requests.JSONDecodeError, KeyError, TypeError):
                problem = response.text[:200]
            raise InfluxDBError(str(problem or f"HTTP status {response.status_code}"))
