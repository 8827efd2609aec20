"""What a caller can do wrong, each error with its HTTP status; and what a model can."""

from http import HTTPStatus


class ModelUnusable(Exception):  # noqa: N818 - it names the state
    """A model cannot be served: says which file or setting, what was found, what was expected."""


class RequestError(Exception):
    """The base: its text is the answer's ``error`` and says what was expected."""

    status = HTTPStatus.BAD_REQUEST


class BadBody(RequestError):  # noqa: N818 - it names the thing
    """Not JSON, or not the body that the contract describes."""


class BodyTooLarge(RequestError):  # noqa: N818 - as above
    """More bytes than a body may have."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"body: expected at most {max_bytes} bytes")


class TooManyRows(RequestError):  # noqa: N818 - as above
    """More rows than one request may hold."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedBody(RequestError):  # noqa: N818 - as above
    """A content type or encoding that is not read here."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class UnknownModel(RequestError):  # noqa: N818 - as above
    """A model name or version that is not served."""

    status = HTTPStatus.NOT_FOUND


class NotReady(RequestError):  # noqa: N818 - as above
    """No model has scored a row yet."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
