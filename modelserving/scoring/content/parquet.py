"""Parquet files into the columns of a table: the footer is believed only where that bounds what is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelserving.errors import RequestError, excerpt
from modelserving.scoring.content.arrow import LIMIT, check_schema
from modelserving.scoring.request import TooLargeError

if TYPE_CHECKING:
    import pyarrow as pa

MEDIA_TYPE = "application/vnd.apache.parquet"
_CODECS = {"UNCOMPRESSED", "SNAPPY"}
"""These inflate some twentyfold at most: whatever the footer says, memory is bounded."""


def parse(body: bytes) -> pa.Table:
    """The table of a Parquet file.

    Raises:
        RequestError: It is no such file, is damaged, or is compressed otherwise than by snappy.
        TooLargeError: It says so of itself.
        ImportError: pyarrow is not installed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(pa.py_buffer(body), thrift_string_size_limit=1_000_000) as file:
            schema = file.schema_arrow
            check_schema(schema)
            texts = [field.name for field in schema if _is_text(field.type)]
            _check_footer(file.metadata, set(texts))
        with pq.ParquetFile(pa.py_buffer(body), read_dictionary=texts) as file:
            table = file.read(use_threads=False)
        table.validate(full=True)
    except (pa.ArrowException, ValueError, OSError, KeyError, TypeError, NotImplementedError) as error:
        if isinstance(error, RequestError):
            raise
        raise RequestError(f"the body is not a Parquet file: {excerpt(str(error))}") from None
    return table


def _is_text(kind: Any) -> bool:
    """Whether values of a type can repeat at no cost, and so must stay a dictionary when they are read."""
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind))


def _check_footer(metadata: Any, dictionaries: set[str]) -> None:
    """Refuse what would be large in memory, by the sizes of rows and not of the bytes that encode them."""
    cells = metadata.num_rows * max(1, metadata.num_columns)
    if cells * 8 > LIMIT * 4 or metadata.num_columns > 100_000:
        raise TooLargeError(f"{metadata.num_rows} rows of {metadata.num_columns} columns")
    total = 0
    for at in range(metadata.num_row_groups):
        group = metadata.row_group(at)
        for position in range(group.num_columns):
            chunk = group.column(position)
            if chunk.compression not in _CODECS:
                raise RequestError(
                    f"the Parquet file is compressed by {chunk.compression}; use snappy, or none"
                )
            total += max(chunk.total_uncompressed_size, 0)
            spread = chunk.num_values * max(chunk.total_uncompressed_size, 1)
            if (
                chunk.physical_type == "BYTE_ARRAY"
                and chunk.path_in_schema not in dictionaries
                and spread > 16 * LIMIT
            ):
                raise TooLargeError(
                    f"{chunk.num_values} texts in lists of column {excerpt(chunk.path_in_schema)}"
                )
            if chunk.num_values * 8 > LIMIT * 4:
                raise TooLargeError(f"{chunk.num_values} values in column {excerpt(chunk.path_in_schema)}")
    if total > LIMIT * 4:
        raise TooLargeError(f"{total} bytes of columns")
