"""The Open Inference Protocol, version 2, over HTTP: JSON bodies and the binary tensor extension, both ways.

``request`` reads bodies, ``columns`` brings their tensors into the types of a signature, ``answer`` writes
predictions as tensors, ``metadata`` describes a model. Of HTTP they know the value of one header.
"""

from __future__ import annotations

from modelserving.scoring.open_inference.answer import Answer, Predicted, encode
from modelserving.scoring.open_inference.metadata import metadata
from modelserving.scoring.open_inference.request import InferRequest, Output, decode

__all__ = ["Answer", "InferRequest", "Output", "Predicted", "decode", "encode", "metadata"]
