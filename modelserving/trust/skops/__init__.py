"""skops files without trust: read by our own tables, checked before first use.

skops itself decides by type names alone and leaves the content to the caller; it also takes 2.7 s to import.
So this reader builds the objects itself, from the same files, and skops is needed for writing only.
"""

from modelserving.trust.skops.reading import load_skops, tier, types_in
from modelserving.trust.skops.saving import save_skops, saveable

__all__ = ["load_skops", "save_skops", "saveable", "tier", "types_in"]
