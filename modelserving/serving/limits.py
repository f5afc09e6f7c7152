"""What one app will hold and how long it will wait; every default is one that a small machine survives."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of an app, the same under every server.

    Attributes:
        body: Bytes of one request body; more is answered 413.
        body_seconds: Time for a body to arrive (ASGI only; under a WSGI server that is the server's to
            bound); 408.
        query: Bytes of a query string; 400.
        queue: Requests that may wait for one model; beyond it 503 with ``Retry-After``.
        prediction_seconds: Time from a request's arrival at its model to its answer, waiting included; 504.
        batch_rows: Rows of different requests that may share one call of a model whose rows are independent.
        batch_seconds: How long a batch may wait for company, and only when the last one had company.

    Example:
        >>> Limits(body=1024).body
        1024
    """

    body: int = 16 * 1024 * 1024
    body_seconds: float = 30.0
    query: int = 4096
    queue: int = 1024
    prediction_seconds: float = 60.0
    batch_rows: int = 4096
    batch_seconds: float = 0.0005

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value >= 0 or (value == 0 and field.name not in {"batch_seconds", "query"}):
                msg = f"limit {field.name!r} must be more than 0, got {value!r}"
                raise ValueError(msg)
