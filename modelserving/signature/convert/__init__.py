"""The strict converter: data of any kind into the types a signature declares, no value changed in silence.

One rule for JSON, CSV, Arrow, V2 and in-process data:

- booleans, integers, strings, bytes and datetimes must be exact;
- an integer sent for a float column must be exact: up to ``2**53`` for double, ``2**24`` for float;
- a decimal is read as a double and rounds to the nearest value of the declared float type;
- a finite number that would become infinite is refused; ``2.0`` is fine for long, ``2.5`` and ``true`` are
not;
- null is a missing value: NaN in float columns (always allowed there), and in optional columns NaT for
datetime
  and None for every other type (an integer, long or boolean column that has one is a column of objects).

What breaks the rule is refused with its row, column and JSON path, all of it at once.
"""

from __future__ import annotations

from modelserving.signature.convert.data import convert
from modelserving.signature.convert.params import convert_params

__all__ = ["convert", "convert_params"]
