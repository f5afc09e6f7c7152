"""Every error this package raises on purpose.

::

    ModelServingError
    ├── MLmodelError (ValueError)            the MLmodel file does not say what it must
    ├── SignatureError (ValueError)          a signature that cannot be
    ├── DataError (ValueError)               data that does not fit the signature
    ├── InvalidURIError (ValueError)         a model URI, or a name in one, that cannot be read
    ├── RequirementError (ValueError)        a requirement that must not be written down
    ├── UntrustedModelError                  loading would run code that nobody vouched for
    ├── InvalidTrustError (ValueError)       trust that is neither "code" nor a digest
    ├── TrustFolderError                     the user's own trust folder cannot be used
    ├── DamagedModelError                    files are not what was written
    ├── PredictionError                      the model itself failed
    ├── ConversionError                      a model that cannot be kept in another form
    ├── GoldenRowsError                      a model that answers otherwise than when it was logged
    ├── ExampleError (ValueError)            a saved model that cannot answer its own example
    ├── CompileError                         no twin can be made of this model
    │   └── UnequalTwinError                 the twin answers otherwise than the model
    ├── PathTakenError                       the folder to write to holds something
    ├── UnserializableError                  predictions that have no JSON form
    ├── FlavorError
    │   ├── FlavorNotFoundError (LookupError)
    │   ├── FlavorLoadError                  an installed flavor cannot be used
    │   ├── FlavorSaveError                  a flavor cannot save what it is given
    │   ├── DuplicateFlavorError             two packages offer one name
    │   └── NoFlavorError (TypeError)        no installed flavor can save this object
    ├── MissingDependencyError (ImportError)
    ├── StoreError
    │   ├── ModelNotFoundError (LookupError)
    │   ├── VersionNotFoundError (LookupError)
    │   ├── AliasNotFoundError (LookupError)
    │   ├── RunNotFoundError (LookupError)
    │   ├── AliasMovedError                  it did not point where the caller thought
    │   ├── NameTakenError
    │   ├── StoreBusyError
    │   ├── StoreFullError
    │   └── DamagedStoreError
    ├── RequestError (ValueError)            a request that cannot be read
    ├── OverloadedError                      more requests than the server will hold
    ├── UnavailableError                     a served model that cannot answer in this process
    ├── AddressError                         a host and port that cannot be listened on
    └── DeadlineError                        the answer would come too late

The arguments of an error are its fields, and the class writes the sentence: what is wrong, where, what to do.
One line, lower case, values with ``repr``. Nothing here knows HTTP: ``serving`` maps classes to statuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from shlex import quote


def choices(names: Iterable[object]) -> str:
    """The names sorted and quoted, for a message that lists what there is; ``none`` if there is nothing."""
    return ", ".join(sorted(repr(name) for name in names)) or "none"


def excerpt(value: object, limit: int = 80) -> str:
    """``repr(value)`` in printable ASCII, cut to ``limit`` characters.

    All a message may show of a client's data.
    """
    if isinstance(value, str | bytes):
        value = value[:limit]  # before repr, which would copy all of a very long value
    try:
        text = ascii(value)
    except (RecursionError, ValueError):  # nested without end, or an integer of thousands of digits
        text = f"<{type(value).__name__}>"
    return text if len(text) <= limit else text[: limit - 3] + "..."


class ModelServingError(Exception):
    """The root of all errors raised on purpose by this package."""


class MLmodelError(ModelServingError, ValueError):
    """The MLmodel file is missing, cannot be read, or says something it must not.

    Attributes:
        reason: What is wrong, and what to do.
        path: The file, where known.
        key: The key path, such as ``flavors.sklearn.pickled_model``; None when it is the file as a whole.
    """

    def __init__(self, reason: str, path: str | None = None, key: str | None = None) -> None:
        super().__init__(reason, path, key)
        self.reason, self.path, self.key = reason, path, key

    def __str__(self) -> str:
        if self.key is None:
            return f"{self.path!r}: {self.reason}" if self.path else self.reason
        return f"{self.reason} in {self.key!r}" + (f" of {self.path!r}" if self.path else "")


class SignatureError(ModelServingError, ValueError):
    """A signature that cannot be.

    Columns beside tensors, a type that does not exist, a default of another type.
    """


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the data of a request.

    Attributes:
        expected: What the signature asks for, such as ``long``.
        got: What was there, at most 80 characters of it.
        row: The row, from 0, where it belongs to one.
        column: The column's name, where it belongs to one.
        path: The place inside a nested value or body, such as ``$.inputs[0].shape``.
    """

    expected: str
    got: str
    row: int | None = None
    column: str | int | None = None
    path: str | None = None

    def __str__(self) -> str:
        place = []
        if self.row is not None:
            place.append(f"row {self.row}")
        if self.column is not None:
            place.append(f"column {excerpt(self.column)}")
        if self.path is not None:
            place.append(f"at {excerpt(self.path).strip(chr(39))}")
        where = ", ".join(place)
        return (
            f"{where}: expected {self.expected}, got {self.got}"
            if where
            else f"expected {self.expected}, got {self.got}"
        )


class DataError(ModelServingError, ValueError):
    """Data that does not fit the signature: all that is wrong with it, not only the first thing.

    Attributes:
        problems: At most :attr:`LIMIT` of them.
        total: How many there are.
    """

    LIMIT = 20

    def __init__(self, problems: Sequence[Problem], total: int | None = None) -> None:
        self.problems = tuple(problems[: self.LIMIT])
        self.total = len(problems) if total is None else total
        super().__init__(self.problems, self.total)

    def __str__(self) -> str:
        shown = "; ".join(str(problem) for problem in self.problems[:3])
        rest = self.total - min(3, len(self.problems))
        return shown + (f"; and {rest} more" if rest > 0 else "")


class InvalidURIError(ModelServingError, ValueError):
    """A model URI, or one of the names it is made of, that cannot be read.

    Attributes:
        uri: The text.
        reason: What is wrong with it.
        kind: What it should have been, with its article: ``a model URI``, ``a model name``, ``an alias`` …
    """

    def __init__(self, uri: str, reason: str, kind: str = "a model URI") -> None:
        super().__init__(uri, reason, kind)
        self.uri, self.reason, self.kind = uri, reason, kind

    def __str__(self) -> str:
        sentence = f"{excerpt(self.uri)} is not {self.kind}: {self.reason}"
        if self.kind != "a model URI":
            return sentence
        return (
            f"{sentence}; write models:/NAME/VERSION, models:/NAME@ALIAS, models:/NAME/latest, "
            "runs:/RUN_ID/NAME or the path of a folder"
        )


class RequirementError(ModelServingError, ValueError):
    """A requirement that pip must not be given: ``requirement`` and ``reason`` say which and why."""

    def __init__(self, requirement: str, reason: str) -> None:
        super().__init__(requirement, reason)
        self.requirement, self.reason = requirement, reason

    def __str__(self) -> str:
        return f"{excerpt(self.requirement)} is not a requirement: {self.reason}; write it as 'name==version'"


class UntrustedModelError(ModelServingError):
    """Loading this model would run code, and nobody has vouched for these bytes.

    Attributes:
        model: The URI or folder that was asked for.
        digest: ``sha256:…`` of the whole folder, what ``trust=`` and ``--trust`` take.
        tier: ``code``, or ``native`` when a validator or the canary prediction refused the file.
        reason: What in it is not data, such as ``Python code (python_model.pkl, cloudpickle)``.
    """

    def __init__(self, model: str, digest: str, tier: str, reason: str) -> None:
        super().__init__(model, digest, tier, reason)
        self.model, self.digest, self.tier, self.reason = model, digest, tier, reason

    def __str__(self) -> str:
        return (
            f"refused: {self.model!r} contains {self.reason}; if you trust whoever made these exact bytes: "
            f"modelserving serve -m {quote(self.model)} --trust {self.digest}"
        )


class InvalidTrustError(ModelServingError, ValueError):
    """What was given as ``trust`` is neither ``"code"`` nor a digest; ``value`` is what it was."""

    def __init__(self, value: object) -> None:
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        return (
            f"{excerpt(self.value)} is not a digest; give sha256: and 64 hexadecimal digits, several of "
            "them, or trust='code' in one call"
        )


class TrustFolderError(ModelServingError):
    """The folder that keeps whom this user trusts cannot be used, so nothing in it counts.

    Attributes:
        path: The folder or file.
        reason: What is wrong with it, and what to do.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"the trust folder {self.path!r} cannot be used: {self.reason}"


class DamagedModelError(ModelServingError):
    """A file of a model is not what was written: changed, missing, added, or not a regular file.

    Attributes:
        file: The path of the file.
        expected: What it should be, a digest or a word.
        actual: What it is.
    """

    def __init__(self, file: str, expected: str, actual: str) -> None:
        super().__init__(file, expected, actual)
        self.file, self.expected, self.actual = file, expected, actual

    def __str__(self) -> str:
        return (
            f"{self.file!r} is damaged: expected {self.expected}, found {self.actual}; "
            "restore it or log the model again"
        )


class PredictionError(ModelServingError):
    """The model itself failed; the exception it raised is the ``__cause__``.

    Attributes:
        model: The name of the model.
        kind: The class name of what it raised.
    """

    def __init__(self, model: str, kind: str) -> None:
        super().__init__(model, kind)
        self.model, self.kind = model, kind

    def __str__(self) -> str:
        return f"model {self.model!r} failed with {self.kind}; see the log for its traceback"


class ConversionError(ModelServingError):
    """A model cannot be kept in another form.

    Attributes:
        model: What was asked for.
        reason: Why not, and what to do.
    """

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(model, reason)
        self.model, self.reason = model, reason

    def __str__(self) -> str:
        return f"{self.model!r} was not converted: {self.reason}"


class GoldenRowsError(ModelServingError):
    """A model answers its input example otherwise than it did when it was logged.

    Attributes:
        model: The name of the model.
        path: Where the first difference is, such as ``$[0].score``.
        expected: What it answered there, at most 80 characters of it.
        got: What it answers now.
        total: How many differences there are.
    """

    def __init__(self, model: str, path: str, expected: str, got: str, total: int = 1) -> None:
        super().__init__(model, path, expected, got, total)
        self.model, self.path, self.expected, self.got, self.total = model, path, expected, got, total

    def __str__(self) -> str:
        more = f" and {self.total - 1} more" if self.total > 1 else ""
        return (
            f"model {self.model!r} answers its input example otherwise than when it was logged: "
            f"at {self.path} expected {self.expected}, got {self.got}{more}; "
            "install the versions in its requirements.txt"
        )


class ExampleError(ModelServingError, ValueError):
    """A saved model cannot answer its own input example, so it was not kept.

    ``reason`` says what happened.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"the saved model cannot answer its own input_example and was not kept ({self.reason}); "
            "give an example that the model can predict, or none"
        )


class CompileError(ModelServingError):
    """No ONNX twin can be made of this model.

    Attributes:
        reason: What is in the way, and what to do.
        model: The name of the model, "" where that is not known.
    """

    def __init__(self, reason: str, model: str = "") -> None:
        super().__init__(reason, model)
        self.reason, self.model = reason, model

    def __str__(self) -> str:
        of = f" of {self.model!r}" if self.model else ""
        return f"no ONNX twin{of} can be made: {self.reason}"


class UnequalTwinError(CompileError):
    """A twin that answers otherwise than its model, which is therefore not kept.

    Attributes:
        method: What both were asked.
        rows: How many rows they were asked about.
        mismatches: The rows for which labels differ.
        error: The largest difference between two numbers, relative to the model's where that is above 1.
        tolerance: The largest difference allowed.
        row: The worst row, column by column.
        expected: What the model answers to it.
        got: What the twin answers to it.
    """

    def __init__(  # noqa: PLR0917 - callers may give them by position
        self,
        method: str,
        rows: int,
        mismatches: int,
        error: float,
        tolerance: float,
        row: dict[str, object],
        expected: object,
        got: object,
    ) -> None:
        self.method, self.rows, self.mismatches = method, rows, mismatches
        self.error, self.tolerance, self.row, self.expected, self.got = error, tolerance, row, expected, got
        cells = ", ".join(f"{excerpt(name)}: {excerpt(value)}" for name, value in row.items())
        worst = f"{method} of {{{cells[:400]}}} is {excerpt(expected)}, but {excerpt(got)} in the twin"
        counts = (
            f"{mismatches} of {rows} rows have another label, "
            f"the largest error is {error:.2g} (allowed: {tolerance:g})"
        )
        super().__init__(f"it is not equal to the model: {worst}; {counts}")

    def __reduce__(self) -> tuple[object, ...]:
        fields = (
            self.method,
            self.rows,
            self.mismatches,
            self.error,
            self.tolerance,
            self.row,
            self.expected,
            self.got,
        )
        return type(self), fields


class PathTakenError(ModelServingError):
    """The folder to write to exists and is not empty; ``path`` says which."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"{self.path!r} exists and is not an empty folder; choose another path, or remove it first"


class UnserializableError(ModelServingError):
    """The model answered with something that has no JSON form.

    Attributes:
        kind: Its qualified class name, or what is wrong with it.
        path: Where it stands in the predictions, such as ``$[0].score``; "" if that is not known.
    """

    def __init__(self, kind: str, path: str = "") -> None:
        super().__init__(kind, path)
        self.kind, self.path = kind, path

    def __str__(self) -> str:
        where = f" at {self.path}" if self.path else ""
        return (
            f"the predictions hold {self.kind}{where}, which has no JSON form; let the model return "
            "arrays, frames, lists, dicts, numbers or text"
        )


class FlavorError(ModelServingError):
    """Something is wrong with a flavor."""


class FlavorNotFoundError(FlavorError, LookupError):
    """No installed package offers this flavor, or a model has no entry for it.

    Attributes:
        wanted: The names that would do.
        there: The names there are.
        of_model: Whether ``there`` are the flavors of a model, not those that are installed.
    """

    def __init__(self, wanted: Sequence[str], there: Sequence[str], of_model: bool = False) -> None:
        super().__init__(tuple(wanted), tuple(there), of_model)
        self.wanted, self.there, self.of_model = tuple(wanted), tuple(there), of_model

    def __str__(self) -> str:
        if self.of_model:
            return (
                f"the model has no flavor {choices(self.wanted)}; its flavors: {choices(self.there)}; "
                "name one of them"
            )
        return (
            f"no installed flavor named {choices(self.wanted)}; installed flavors: {choices(self.there)}; "
            "install the package that provides it"
        )


class FlavorLoadError(FlavorError):
    """An installed flavor cannot be used, or cannot read what it is given.

    Attributes:
        name: The flavor.
        package: The distribution it comes from, "" if unknown.
        reason: What went wrong, and what to do.
    """

    def __init__(self, name: str, package: str, reason: str) -> None:
        super().__init__(name, package, reason)
        self.name, self.package, self.reason = name, package, reason

    def __str__(self) -> str:
        origin = f" (from {self.package})" if self.package else ""
        return f"flavor {self.name!r}{origin} cannot be used: {self.reason}"


class FlavorSaveError(FlavorError):
    """A flavor cannot save what it is given, or not in the way its options ask for.

    Attributes:
        name: The flavor.
        reason: What is wrong, and what to do.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return f"flavor {self.name!r} cannot save the model: {self.reason}"


class DuplicateFlavorError(FlavorError):
    """Two installed packages offer one flavor name; ``name`` and ``packages`` say which."""

    def __init__(self, name: str, packages: Sequence[str]) -> None:
        super().__init__(name, tuple(packages))
        self.name, self.packages = name, tuple(packages)

    def __str__(self) -> str:
        return f"flavor {self.name!r} is offered by {choices(self.packages)}; uninstall all but one"


class NoFlavorError(FlavorError, TypeError):
    """No installed flavor can save this object.

    Attributes:
        kind: The qualified class name of the object.
        installed: The names of the installed flavors.
        asked: The one flavor that was asked for, None when any would do.
    """

    def __init__(self, kind: str, installed: Sequence[str], asked: str | None = None) -> None:
        super().__init__(kind, tuple(installed), asked)
        self.kind, self.installed, self.asked = kind, tuple(installed), asked

    def __str__(self) -> str:
        if self.asked is not None:
            return (
                f"flavor {self.asked!r} cannot save an object of class {self.kind!r}; "
                "leave flavor= out to have one chosen"
            )
        return (
            f"no installed flavor can save an object of class {self.kind!r}; installed flavors: "
            f"{choices(self.installed)}; give a callable, a class with predict(), or install a flavor for it"
        )


class MissingDependencyError(ModelServingError, ImportError):
    """A package that is needed is not installed.

    Attributes:
        package: The distribution that is missing.
        needed_for: What needs it, such as ``the command 'serve'``.
        extra: The extra of this package that brings it, None when there is none.
    """

    def __init__(self, package: str, needed_for: str, extra: str | None = None) -> None:
        super().__init__(package, needed_for, extra)
        self.package, self.needed_for, self.extra = package, needed_for, extra

    def __str__(self) -> str:
        remedy = f"modelserving[{self.extra}]" if self.extra else self.package
        return (
            f"{self.needed_for} needs {self.package!r}, which is not installed; run: pip install '{remedy}'"
        )


class StoreError(ModelServingError):
    """Something is wrong with a store, or with what was asked of it."""


class ModelNotFoundError(StoreError, LookupError):
    """No registered model, or no model logged in a run, has this name.

    Attributes:
        name: What was asked for.
        where: Where it was looked for, such as ``the store '/srv/models'``.
        known: Names that are there, a few of them.
    """

    def __init__(self, name: str, where: str, known: Sequence[str] = ()) -> None:
        super().__init__(name, where, tuple(known))
        self.name, self.where, self.known = name, where, tuple(known)

    def __str__(self) -> str:
        return f"no model named {self.name!r} in {self.where}; there: {choices(self.known)}"


class VersionNotFoundError(StoreError, LookupError):
    """A registered model has no such version.

    Attributes:
        name: The registered model.
        version: The version asked for; "latest" when it has none at all.
        known: Versions that are there, a few of them.
    """

    def __init__(self, name: str, version: int | str, known: Sequence[int] = ()) -> None:
        super().__init__(name, version, tuple(known))
        self.name, self.version, self.known = name, version, tuple(known)

    def __str__(self) -> str:
        there = ", ".join(str(version) for version in sorted(self.known)) or "none"
        return f"model {self.name!r} has no version {self.version}; versions: {there}"


class AliasNotFoundError(StoreError, LookupError):
    """A registered model has no such alias; ``known`` lists those it has."""

    def __init__(self, name: str, alias: str, known: Sequence[str] = ()) -> None:
        super().__init__(name, alias, tuple(known))
        self.name, self.alias, self.known = name, alias, tuple(known)

    def __str__(self) -> str:
        return f"model {self.name!r} has no alias {self.alias!r}; aliases: {choices(self.known)}"


class RunNotFoundError(StoreError, LookupError):
    """The store has no such run."""

    def __init__(self, run_id: str, where: str) -> None:
        super().__init__(run_id, where)
        self.run_id, self.where = run_id, where

    def __str__(self) -> str:
        return f"no run {excerpt(self.run_id)} in {self.where}; check the id, or name another store"


class AliasMovedError(StoreError):
    """An alias did not point where the caller thought, so it was left as it is.

    Attributes:
        name: The registered model.
        alias: The alias.
        expected: The version the caller expected, None for "not set".
        actual: The version it points to, None when it is not set.
    """

    def __init__(self, name: str, alias: str, expected: int | None, actual: int | None) -> None:
        super().__init__(name, alias, expected, actual)
        self.name, self.alias, self.expected, self.actual = name, alias, expected, actual

    def __str__(self) -> str:
        return (
            f"alias {self.alias!r} of model {self.name!r} was not moved: expected it at {self.expected}, "
            f"it is at {self.actual}; look again and retry"
        )


class NameTakenError(StoreError):
    """The name is in use, perhaps in another case; ``taken_by`` is the one that has it."""

    def __init__(self, name: str, taken_by: str) -> None:
        super().__init__(name, taken_by)
        self.name, self.taken_by = name, taken_by

    def __str__(self) -> str:
        return f"the name {self.name!r} is taken by {self.taken_by!r}; choose another"


class StoreBusyError(StoreError):
    """Another process held the store's lock for too long."""

    def __init__(self, location: str, seconds: float) -> None:
        super().__init__(location, seconds)
        self.location, self.seconds = location, seconds

    def __str__(self) -> str:
        return (
            f"the store {self.location!r} was locked for {self.seconds:g} s; "
            "try again when the other writer is done"
        )


class StoreFullError(StoreError):
    """The disk, the quota or a size limit does not allow the write; nothing was kept of it."""

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(location, reason)
        self.location, self.reason = location, reason

    def __str__(self) -> str:
        return f"the store {self.location!r} cannot take more: {self.reason}; free space, then log again"


class DamagedStoreError(StoreError):
    """The store's own files are not what was written.

    Attributes:
        file: The path of the file.
        reason: What is wrong with it.
    """

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(file, reason)
        self.file, self.reason = file, reason

    def __str__(self) -> str:
        return (
            f"{self.file!r} is damaged: {self.reason}; "
            "run: modelserving store doctor, then modelserving store rebuild"
        )


class RequestError(ModelServingError, ValueError):
    """A request that cannot be read, before its data is looked at."""


class OverloadedError(ModelServingError):
    """More requests than the server will hold; ``retry_after`` is in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"the server is at capacity; retry after {self.retry_after:g} s"


class UnavailableError(ModelServingError):
    """A served model cannot answer in this process, whatever it is asked.

    Attributes:
        model: The name of the model.
        reason: Why, and what to do.
    """

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(model, reason)
        self.model, self.reason = model, reason

    def __str__(self) -> str:
        return f"model {self.model!r} cannot answer: {self.reason}"


class AddressError(ModelServingError):
    """The server cannot listen there; ``host``, ``port`` and ``reason`` say where and why not."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(host, port, reason)
        self.host, self.port, self.reason = host, port, reason

    def __str__(self) -> str:
        return (
            f"cannot listen on {self.host} port {self.port}: {self.reason}; choose another with --port, "
            "or --port 0 for any free one"
        )


class DeadlineError(ModelServingError):
    """The answer would come too late; ``seconds`` is the limit that passed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"no answer within {self.seconds:g} s; send fewer rows, or allow more time"
