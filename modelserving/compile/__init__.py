"""A proved ONNX twin of a model: asked beside it about thousands of rows, and kept only if equal."""

from modelserving.compile.arrays import answers_alike_on_arrays
from modelserving.compile.proof import TOLERANCE, Proof
from modelserving.compile.twin import Compile, add_twin
from modelserving.compile.version import compile_model

__all__ = ["TOLERANCE", "Compile", "Proof", "add_twin", "answers_alike_on_arrays", "compile_model"]
