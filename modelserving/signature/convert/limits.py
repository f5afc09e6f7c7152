"""How deep and how long a value may be: what keeps hostile input cheap."""

from __future__ import annotations

MAX_DEPTH = 64
"""Lists and objects inside one another, in one value."""

MAX_DIGITS = 309
"""Digits of one integer literal; a longer one is beyond every double."""
