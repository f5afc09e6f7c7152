"""scikit-learn's models as ONNX in double: trees by our own writer, what is around them by skl2onnx."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from modelserving.errors import CompileError, MissingDependencyError
from modelserving.flavors._onnx_graph import DOUBLE, IR_VERSION, OPSETS, GraphWriter
from modelserving.flavors._tree_models import answers, is_tree_model
from modelserving.signature.types import DataType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelserving.signature.schema import Signature

INPUT = "X"
"""The one input of a graph that takes all columns as a matrix; others have one input a column, by its
name."""

_NUMERIC = (DataType.boolean, DataType.integer, DataType.long, DataType.float, DataType.double)


def to_onnx(model: Any, signature: Signature) -> tuple[bytes, Mapping[str, str]]:
    """A fitted estimator or pipeline as an ONNX graph that computes in double.

    Args:
        model: The estimator.
        signature: What it takes: numbers and text in columns, or one matrix of numbers.

    Returns:
        The graph as bytes, and for each method the name of the output that answers it. The graph has one
        input ``X`` of shape (rows, columns), or one of shape (rows, 1) for each column where there is text
        or where the model picks columns by name.

    Raises:
        CompileError: Some part of it cannot be written, or takes what no ONNX graph takes.
        MissingDependencyError: ``onnx``, or for other than tree models ``skl2onnx``, is not installed.
    """
    names = _inputs(model, signature)
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("onnx", "a compiled twin", "compile") from error
    if is_tree_model(model):
        if isinstance(names, dict):
            raise CompileError("a tree takes numbers, and the signature has text")
        return _tree_model(model, names)
    return _converted(model, names)


def _inputs(model: object, signature: Signature) -> int | dict[str, bool]:
    """The width of the one matrix, or for each column whether it is text."""
    schema = signature.inputs
    if schema is None:
        raise CompileError("its signature has no inputs")
    if schema.is_tensor:
        specs: Any = list(schema)
        if len(specs) != 1 or len(specs[0].shape) != 2 or specs[0].shape[1] < 1 or specs[0].dtype == "object":
            raise CompileError("its input is not one matrix of numbers")
        return int(specs[0].shape[1])
    kinds = {}
    columns: Any = schema
    for spec in columns:
        if spec.type not in (*_NUMERIC, DataType.string) or not spec.required:
            kind = f"optional {spec.type}" if not spec.required else str(spec.type)
            raise CompileError(f"column {spec.name!r} is {kind}; a twin takes required numbers and text")
        kinds[str(spec.name)] = spec.type is DataType.string
    return kinds if any(kinds.values()) or _picks_by_name(model) else len(kinds)


def _picks_by_name(model: Any) -> bool:
    """Whether a part of the model selects columns: there the columns go in one by one."""
    if type(model).__name__ == "ColumnTransformer":
        return True
    return any(_picks_by_name(step) for _, step in getattr(model, "steps", ()))


def _tree_model(model: Any, width: int) -> tuple[bytes, dict[str, str]]:
    from onnx import helper

    graph = GraphWriter()
    outputs = {
        method: graph.name(tensor, _output(method))
        for method, tensor in answers(graph, model, INPUT).items()
        if hasattr(model, method)
    }
    types = {name: (_element_type(model, method), None) for method, name in outputs.items()}
    matrix = helper.make_tensor_value_info(INPUT, DOUBLE, [None, width])
    return graph.finish([matrix], types), outputs


def _output(method: str) -> str:
    """The name of an output, by the method it answers: ``predictions``, ``predict_proba``."""
    return "predictions" if method == "predict" else method


def _element_type(model: Any, method: str) -> int:
    """ONNX's number of an answer's type: that of the labels, or double."""
    import numpy as np
    from onnx import helper

    if method != "predict" or not hasattr(model, "classes_"):
        return DOUBLE
    kind = np.dtype(object) if model.classes_.dtype.kind == "U" else model.classes_.dtype
    return int(helper.np_dtype_to_tensor_dtype(kind))


def _converted(model: Any, names: int | dict[str, bool]) -> tuple[bytes, dict[str, str]]:
    """What skl2onnx makes of a model, our tree operator in the place of its own."""
    try:
        import skl2onnx
        from skl2onnx.common.data_types import DoubleTensorType, StringTensorType
    except ImportError as error:
        raise MissingDependencyError("skl2onnx", "a compiled twin", "compile") from error
    if isinstance(names, dict):
        kinds = {True: StringTensorType, False: DoubleTensorType}
        inputs = [(name, kinds[text]([None, 1])) for name, text in names.items()]
    else:
        inputs = [(INPUT, DoubleTensorType([None, names]))]
    parts = _parts(model)
    trees = {type(part) for part in parts if is_tree_model(part)}
    imputers = {type(part) for part in parts if _is_imputer(part)}
    options = {id(model): {"zipmap": False}} if hasattr(model, "classes_") else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # skl2onnx's own deprecations are not the caller's
            made = skl2onnx.convert_sklearn(
                model,
                initial_types=inputs,
                target_opset={"": OPSETS[""], "ai.onnx.ml": 3},
                options=options,
                custom_conversion_functions=dict.fromkeys(trees, _convert_trees)
                | dict.fromkeys(imputers, _convert_imputer),
                custom_shape_calculators=dict.fromkeys(trees, _tree_shapes),
            )
    except CompileError:
        raise
    except Exception as error:  # a converter may raise anything
        reason = " ".join(str(error).split())[:200]
        raise CompileError(f"skl2onnx raised {type(error).__name__}: {reason}") from error
    return _finished(made, model, bool(trees))


def _parts(model: Any) -> list[Any]:
    """The model and, of a pipeline or of a transformer of columns, its steps."""
    steps = [step for _, step in getattr(model, "steps", ())]
    steps += [step for _, step, _ in getattr(model, "transformers_", ())]
    return [model, *(part for step in steps for part in _parts(step))]


def _is_imputer(part: Any) -> bool:
    """Whether a part replaces NaN by a number and does nothing else; ONNX's own Imputer is float32."""
    import numpy as np

    statistics: Any = getattr(part, "statistics_", None)
    return bool(
        type(part).__module__ == "sklearn.impute._base"
        and type(part).__name__ == "SimpleImputer"
        and isinstance(part.missing_values, float)
        and np.isnan(part.missing_values)
        and not part.add_indicator
        and statistics.dtype.kind == "f"
        and np.isfinite(statistics).all()
    )


def _convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    """A converter for skl2onnx: NaN replaced in double."""
    graph = GraphWriter(scope.get_unique_operator_name("impute") + "_")
    x = graph.add("Cast", operator.inputs[0].onnx_name, to=DOUBLE)
    filled = graph.add("Where", graph.add("IsNaN", x), graph.constant(operator.raw_operator.statistics_), x)
    graph.name(filled, operator.outputs[0].onnx_name)
    container.nodes.extend(graph.nodes)
    container.initializers.extend(graph.constants)
    container.node_domain_version_pair_sets.add(("", OPSETS[""]))


def _convert_trees(scope: Any, operator: Any, container: Any) -> None:
    """A converter for skl2onnx: the tree operator for one step of a pipeline."""
    graph = GraphWriter(scope.get_unique_operator_name("trees") + "_")
    x = graph.add("Cast", operator.inputs[0].onnx_name, to=DOUBLE)
    found = answers(graph, operator.raw_operator, x)
    for output, method in zip(operator.outputs, ("predict", "predict_proba"), strict=False):
        graph.name(found[method], output.onnx_name)
    container.nodes.extend(graph.nodes)
    container.initializers.extend(graph.constants)
    container.node_domain_version_pair_sets.update({("", OPSETS[""]), ("ai.onnx.ml", 3)})


def _tree_shapes(operator: Any) -> None:
    """A shape calculator for skl2onnx, which takes the probabilities of its own trees for floats."""
    from skl2onnx.common.data_types import DoubleTensorType

    for output in operator.outputs[-1:]:
        output.type = DoubleTensorType([None, None])
    if len(operator.outputs) == 2:
        from skl2onnx.common.data_types import Int64TensorType, StringTensorType

        text = operator.raw_operator.classes_.dtype.kind in "UO"
        operator.outputs[0].type = (StringTensorType if text else Int64TensorType)([None])


def _finished(made: Any, model: Any, has_trees: bool) -> tuple[bytes, dict[str, str]]:
    """The graph with our operator's version, and with the answers in the shape the model gives them."""
    from onnx import helper

    graph = made.graph
    names = [output.name for output in graph.output]
    if hasattr(model, "classes_"):
        outputs = {"predict": names[0], "predict_proba": names[1]}
        if not hasattr(model, "predict_proba"):
            outputs = {"predict": names[0]}
            del graph.output[1]
        elif hasattr(model, "predict_log_proba"):
            outputs["predict_log_proba"] = "predict_log_proba"
            graph.node.append(helper.make_node("Log", [names[1]], ["predict_log_proba"]))
            graph.output.append(helper.make_tensor_value_info("predict_log_proba", DOUBLE, None))
    elif hasattr(model, "predict"):
        outputs = {"predict": "predictions"}
        shape = helper.make_tensor("flat_shape", 7, [1], [-1])
        graph.initializer.append(shape)
        graph.node.append(helper.make_node("Reshape", [names[0], "flat_shape"], ["predictions"]))
        kind = graph.output[0].type.tensor_type.elem_type
        del graph.output[:]
        graph.output.append(helper.make_tensor_value_info("predictions", kind, None))
    else:
        outputs = {"transform": names[0]}
    for opset in made.opset_import:
        if opset.domain == "ai.onnx.ml" and has_trees:
            opset.version = OPSETS["ai.onnx.ml"]
    made.ir_version = IR_VERSION
    return bytes(made.SerializeToString()), outputs
