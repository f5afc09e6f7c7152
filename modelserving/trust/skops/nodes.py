"""How each kind of node of a skops file becomes an object; every name is on our list."""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict
from functools import partial
from importlib import import_module
from inspect import getattr_static
from typing import TYPE_CHECKING, Any

from modelserving.errors import FlavorLoadError
from modelserving.trust.skops.archive import MAX_DEPTH
from modelserving.trust.skops.content import problem_in_state
from modelserving.trust.skops.types import is_allowed

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelserving.trust.skops.archive import Archive

State = dict[str, Any]

_SCALAR = (str, int, float, bool, type(None))
_BIT_GENERATORS = {"MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"}


class Builder:
    """Builds the objects of one file. Arrays that are shared stay so; other objects are built anew."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.arrays: dict[tuple[str, str], object] = {}
        self.depth = 0

    def build(self, state: object, place: str) -> Any:
        """The object that ``state`` describes; ``place`` is where it stands, for messages."""
        if not isinstance(state, dict) or not isinstance(state.get("__loader__"), str):
            raise self.archive.damaged(f"a node at {place}", "something else")
        make = _MAKERS.get(state["__loader__"])
        name = f"{state.get('__module__')}.{state.get('__class__')}"
        if make is None or not is_allowed(state["__loader__"], name, native=True):
            raise self.archive.damaged(f"a node of a known kind at {place}", repr(name)[:80])
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.archive.damaged(f"at most {MAX_DEPTH} nodes inside each other", "more")
        try:
            return make(self, state, place)
        finally:
            self.depth -= 1

    def named(self, state: State) -> Any:
        """The class or function that the node names."""
        module, name = state["__module__"], state["__class__"]
        try:
            return getattr(import_module(module), name)  # a name on our list; see is_allowed in build
        except (ImportError, AttributeError) as error:
            package = module.partition(".")[0]
            raise FlavorLoadError(
                "sklearn", package, f"the file needs {module}.{name}; install the release it was saved with"
            ) from error

    def check(self, name: str, state: object, place: str) -> None:
        """Refuse a state that compiled code would read past."""
        problem = problem_in_state(name, state)
        if problem:
            raise self.archive.damaged(f"a sound {name.rpartition('.')[2]} at {place}", problem)


def _json(builder: Builder, state: State, place: str) -> object:
    value = json.loads(state["content"])
    if not isinstance(value, _SCALAR):
        raise builder.archive.damaged(f"one plain value at {place}", "a nested one")
    return value


def _dict(builder: Builder, state: State, place: str) -> object:
    name = f"{state['__module__']}.{state['__class__']}"
    kinds = builder.build(state["key_types"], place)
    if len(kinds) != len(state["content"]):
        raise builder.archive.damaged(f"one type for each key at {place}", f"{len(kinds)}")
    made = OrderedDict() if name == "collections.OrderedDict" else builder.named(state)()
    for kind, (key, value) in zip(kinds, state["content"].items(), strict=True):
        made[_key(kind, key)] = builder.build(value, f"{place}.{key[:40]}")
    return made


def _key(kind: Any, text: str) -> object:
    if kind is bool:  # JSON wrote true as "true", of which bool() makes True, and of "false" too
        return text in {"true", "True"}
    return None if kind is type(None) else kind(text)


def _defaultdict(builder: Builder, state: State, place: str) -> object:
    factory = builder.build(state["content"]["default_factory"], place)
    if not (factory is None or isinstance(factory, type)):
        raise builder.archive.damaged(f"a type that makes defaults at {place}", "something else")
    return defaultdict(factory, builder.build(state["content"]["main"], place))


def _sequence(kind: Callable[[list[object]], object]) -> Callable[[Builder, State, str], object]:
    def make(builder: Builder, state: State, place: str) -> object:
        return kind([builder.build(item, f"{place}[{index}]") for index, item in enumerate(state["content"])])

    return make


def _slice(builder: Builder, state: State, place: str) -> object:
    parts = [state["content"][key] for key in ("start", "stop", "step")]
    if not all(isinstance(part, _SCALAR) for part in parts):
        raise builder.archive.damaged(f"plain bounds at {place}", "others")
    return slice(*parts)


def _bytes(builder: Builder, state: State, _place: str) -> object:
    data = builder.archive.read(state["file"])
    return data if state["__loader__"] == "BytearrayNode" else bytes(data)


def _named(builder: Builder, state: State, _place: str) -> object:
    return builder.named(state)


def _partial(builder: Builder, state: State, place: str) -> object:
    content = state["content"]
    if content["func"]["__loader__"] != "FunctionNode":
        raise builder.archive.damaged(f"a function at {place}", "something else")
    if builder.build(content["args"], place) or builder.build(content["namespace"], place):
        raise builder.archive.damaged(f"keywords only at {place}", "more")
    keywords = builder.build(content["kwds"], place)
    if not all(isinstance(value, (*_SCALAR, type, list)) for value in keywords.values()):
        raise builder.archive.damaged(f"plain keywords at {place}", "others")
    return partial(builder.build(content["func"], place), **keywords)


def _array(builder: Builder, state: State, place: str) -> object:
    import numpy as np

    kind = state["__class__"]
    if state["type"] == "numpy":
        key = kind, state["file"]
        if key not in builder.arrays:
            array = builder.archive.array(state["file"])
            if kind != "ndarray" and (array.ndim or array.dtype.kind == "V"):
                raise builder.archive.damaged(f"one number at {place}", "an array")
            builder.arrays[key] = array if kind == "ndarray" else array[()]
        return builder.arrays[key]
    items = [builder.build(item, f"{place}[{index}]") for index, item in enumerate(state["content"])]
    shape = builder.build(state["shape"], place)
    made = np.empty(len(items), dtype=object)
    made[:] = items if len(shape) == 1 else [None] * len(items)
    if len(shape) != 1:  # written as nested lists
        made = np.array(items, dtype=object)
    if made.shape != tuple(shape):
        raise builder.archive.damaged(f"an array of shape {shape} at {place}", f"{made.shape}")
    return made


def _masked_array(builder: Builder, state: State, place: str) -> object:
    import numpy as np

    data, mask = (np.asarray(builder.build(state["content"][key], place)) for key in ("data", "mask"))
    return np.ma.MaskedArray(data, mask)


def _dtype(builder: Builder, state: State, place: str) -> object:
    return builder.build(state["content"], place).dtype


def _random_state(builder: Builder, state: State, place: str) -> object:
    import numpy as np

    content = builder.build(state["content"], place)
    if content.get("bit_generator") != "MT19937":
        raise builder.archive.damaged(
            f"a Mersenne Twister at {place}", repr(content.get("bit_generator"))[:80]
        )
    builder.check("numpy.random.BitGenerator", content, place)
    made = np.random.RandomState(0)
    made.set_state(content)
    return made


def _generator(builder: Builder, state: State, place: str) -> object:
    import numpy as np

    content = builder.build(state["content"]["bit_generator"], place)
    if content.get("bit_generator") not in _BIT_GENERATORS:
        raise builder.archive.damaged(
            f"a bit generator of numpy at {place}", repr(content.get("bit_generator"))[:80]
        )
    builder.check("numpy.random.BitGenerator", content, place)
    bits = getattr(np.random, content["bit_generator"])(0)
    bits.state = content
    return np.random.Generator(bits)


def _sparse(builder: Builder, state: State, place: str) -> object:
    import io

    from scipy.sparse import load_npz

    key = state["__class__"], state["file"]
    if key not in builder.arrays:
        data = builder.archive.read(state["file"])
        builder.check("npz", data, place)
        matrix = load_npz(io.BytesIO(data))
        builder.check("scipy.sparse", matrix, place)
        if type(matrix).__name__ != state["__class__"]:
            raise builder.archive.damaged(f"a {state['__class__']} at {place}", type(matrix).__name__)
        builder.arrays[key] = matrix
    return builder.arrays[key]


def _loss(builder: Builder, state: State, place: str) -> object:
    arguments = builder.build(state["__reduce__"]["args"], place)
    if not all(isinstance(argument, int | float) for argument in arguments):
        raise builder.archive.damaged(f"numbers for the loss at {place}", "others")
    if builder.build(state["content"], place):
        raise builder.archive.damaged(f"no more than numbers for the loss at {place}", "a state")
    return builder.named(state)(*arguments)


def _tree(builder: Builder, state: State, place: str) -> object:
    arguments = builder.build(state["__reduce__"]["args"], place)
    content = builder.build(state["content"], place)
    builder.check("sklearn.tree._tree.Tree", (arguments, content), place)
    made = builder.named(state)(*arguments)
    made.__setstate__(content)
    return made


def _object(builder: Builder, state: State, place: str) -> object:
    kind = builder.named(state)
    made = kind.__new__(kind)
    content = builder.build(state["content"], place) if state.get("content") is not None else None
    if isinstance(content, dict):
        shadow = next((key for key in content if not _is_attribute(kind, key)), None)
        if shadow is not None:
            raise builder.archive.damaged(
                f"attributes of {kind.__name__} at {place}", f"{str(shadow)[:80]!r}"
            )
    builder.check(f"{state['__module__']}.{state['__class__']}", content, place)
    if content is None:
        return made
    if hasattr(made, "__setstate__"):
        made.__setstate__(content)
    else:
        made.__dict__.update(content)
    return made


def _is_attribute(kind: type, key: object) -> bool:
    """Whether a state may set ``key``: the method that it hides could be the one that checks the input."""
    if not isinstance(key, str):
        return False
    there = getattr_static(kind, key, None)
    return there is None or (isinstance(there, _SCALAR) and not key.startswith("__") and key != "_impl")


_MAKERS: dict[str, Callable[[Builder, State, str], object]] = {
    "JsonNode": _json,
    "DictNode": _dict,
    "DefaultDictNode": _defaultdict,
    "ListNode": _sequence(list),
    "TupleNode": _sequence(tuple),
    "SetNode": _sequence(set),
    "SliceNode": _slice,
    "BytesNode": _bytes,
    "BytearrayNode": _bytes,
    "TypeNode": _named,
    "FunctionNode": _named,
    "PartialNode": _partial,
    "NdArrayNode": _array,
    "MaskedArrayNode": _masked_array,
    "DTypeNode": _dtype,
    "RandomStateNode": _random_state,
    "RandomGeneratorNode": _generator,
    "SparseMatrixNode": _sparse,
    "LossNode": _loss,
    "TreeNode": _tree,
    "ObjectNode": _object,
}
