"""Models: found, verified, trusted, loaded, and asked."""

from modelserving.model.loaded import Model, form_of
from modelserving.model.resolved import Found, Resolved, contents, find, load_model, load_written, resolve

__all__ = [
    "Found",
    "Model",
    "Resolved",
    "contents",
    "find",
    "form_of",
    "load_model",
    "load_written",
    "resolve",
]
