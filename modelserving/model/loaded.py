"""A loaded model: checked data in, predictions out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from modelserving.errors import FlavorLoadError, RequestError
from modelserving.signature.convert import convert, convert_params
from modelserving.signature.rows import Raw, Rows

if TYPE_CHECKING:
    from modelserving.flavor import Traits
    from modelserving.model.resolved import Resolved
    from modelserving.signature.schema import Signature
    from modelserving.signature.types import Form


class Model:
    """A loaded model: checked data in, predictions out.

    Attributes:
        name: The registered name, else the name it was logged under, else that of its folder.
        version: The registered version, None when it was not loaded as one.
        digest: ``sha256:…`` of the whole folder.
        metadata: What its MLmodel file says.
        flavor: The flavor that loaded it.
        method: The default method: the one recorded when the model was logged, else its flavor's first.
        native: The framework's own object.
        tier: What its files could have done, had nobody been asked.
        traits: What serving must know of it.

    Example:
        >>> from modelserving import load_model, log_model
        >>> load_model(log_model(sum, "total").model_uri).predict([1, 2, 3])
        6
    """

    def __init__(self, resolved: Resolved, native: object) -> None:
        self.name, self.version, self.digest = resolved.name, resolved.version, resolved.digest
        self.metadata, self.flavor, self.native = resolved.metadata, resolved.flavor, native
        self.traits: Traits = self.flavor.traits(native)
        self.method = self._default_method()
        self.tier = resolved.grant.tier
        self._resolved = resolved  # keeps the verified folder while the model may read from it

    def __repr__(self) -> str:
        version = f" version {self.version}" if self.version else ""
        return f"<Model {self.name!r}{version}, flavor {self.flavor.name!r}, {self.digest[:19]}>"

    @property
    def signature(self) -> Signature | None:
        """What it takes and returns; None when it was logged without."""
        return self.metadata.signature

    @property
    def methods(self) -> tuple[str, ...]:
        """What can be asked of it, the default first."""
        default = self.method
        return (default, *(each for each in self.traits.methods if each != default))

    def _default_method(self) -> str:
        if not self.traits.methods:
            reason = f"a {type(self.native).__qualname__!r} cannot be asked; log a model that predicts"
            raise FlavorLoadError(self.flavor.name, "modelserving", reason)
        recorded = self.metadata.ours.get("method")
        recorded = recorded or self.metadata.flavors.get("python_function", {}).get("predict_fn")
        if recorded is not None and recorded not in self.traits.methods:
            has = f"the model has {', '.join(self.traits.methods)}, not {recorded!r}"
            raise FlavorLoadError(
                self.flavor.name, "modelserving", f"{has}; log it again with another method="
            )
        return self.traits.methods[0] if recorded is None else str(recorded)

    def example_request(self) -> bytes | None:
        """The body of a request that asks the input example; None if the model was saved without one."""
        return self._resolved.example_request()

    def predict(
        self, data: object, params: Mapping[str, object] | None = None, *, method: str | None = None
    ) -> object:
        """The model's answer, in whatever type the model answers with.

        Args:
            data: A DataFrame, an array of shape (rows, columns), a dict of name to values, a list of dicts,
                or what the model takes when it has no signature. Checked against the signature, never
                changed in silence.
            params: Parameters of this one prediction, as the signature declares them.
            method: One of :attr:`methods`, such as ``predict_proba``; the default one if None.

        Raises:
            DataError: The data or the params do not fit the signature, with every problem and its place.
            RequestError: The model has no such method.
        """
        specs = self.signature.params if self.signature else ()
        answer = self.predict_rows(
            convert(data, self.signature), convert_params(params, specs), method=method
        )
        return _relabelled(answer, data)

    def predict_rows(
        self, data: Rows | Raw, params: Mapping[str, object], *, method: str | None = None
    ) -> object:
        """The answer to data that has been checked already, as the server has done; see :meth:`predict`."""
        chosen = method or self.method
        if chosen not in self.traits.methods:
            raise RequestError(
                f"model {self.name!r} has no method {chosen!r}; its methods: {', '.join(self.methods)}"
            )
        return self.flavor.predict(self.native, self._formed(data), params, method=chosen)

    def _formed(self, data: Rows | Raw) -> object:
        if isinstance(data, Raw):
            return data.value
        return data.to(
            form_of(data, self.signature, self.traits, arrays=bool(self.metadata.ours.get("arrays")))
        )


def form_of(rows: Rows, signature: Signature | None, traits: Traits, *, arrays: bool) -> Form:
    """The form in which a model is given rows.

    Args:
        rows: The rows.
        signature: The model's signature.
        traits: What its flavor said of it.
        arrays: Whether it was proved to answer alike on an array and on a DataFrame.
    """
    if not rows.names:
        return "array"
    if signature is None or signature.inputs is None:
        return "frame"
    if signature.inputs.is_tensor or traits.takes[0] == "columns":
        return "columns"
    if rows.block is not None and (traits.takes[0] == "array" or (arrays and "array" in traits.takes)):
        return "array"
    return "frame"


def _relabelled(answer: object, data: object) -> object:
    """A DataFrame or Series answer gets the row labels of the DataFrame it answers to."""
    index = getattr(data, "index", None)
    if index is None or callable(index) or not hasattr(answer, "set_axis") or len(answer) != len(index):  # type: ignore[arg-type]
        return answer
    return answer.set_axis(index, axis=0)
