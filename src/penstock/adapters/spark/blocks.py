"""Events as bytes in one cell, and their assignment to the partitions of a shuffle."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

BLOCK = pa.schema([("group", pa.int32()), ("slice", pa.int32()), ("place", pa.int32()), ("data", pa.binary())])
"""A block on its way. group: what it holds. slice: which stretch of the sequence. place: see `routes`."""
BLOCK_TYPE = "group int, slice int, place int, data binary"

Cell = dict[str, Any]


def pack(columns: Mapping[str, "NDArray[Any] | pa.Array"]) -> pa.Buffer:
    """Columns of equal length as Arrow bytes."""
    arrays = [column if isinstance(column, pa.Array) else pa.array(column) for column in columns.values()]
    return _written(pa.RecordBatch.from_arrays(arrays, names=list(columns)))


def unpack(data: pa.Buffer) -> pa.RecordBatch:
    """The columns of `pack`."""
    with pa.ipc.open_stream(data) as stream:
        return stream.read_next_batch()


def numbers(batch: pa.RecordBatch, name: str) -> NDArray[Any]:
    """A column of numbers without nulls; it shares the bytes and cannot be written to."""
    found: NDArray[Any] = batch.column(name).to_numpy(zero_copy_only=True)
    return found


def pack_frame(frame: pl.DataFrame) -> pa.Buffer:
    """A frame as Arrow bytes."""
    table = frame.to_arrow().combine_chunks()
    batches = table.to_batches()
    return _written(batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema))


def unpack_frame(data: pa.Buffer) -> pl.DataFrame:
    """The frame of `pack_frame`."""
    frame = pl.from_arrow(unpack(data))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _written(batch: pa.RecordBatch) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return sink.getvalue()


def rows_of(batches: Iterable[pa.RecordBatch]) -> Iterator[Cell]:
    """The rows that Spark hands in, one after the other."""
    for batch in batches:
        columns = batch.schema.names
        for row in range(len(batch)):
            yield {name: _cell(batch.column(k)[row]) for k, name in enumerate(columns)}


def _cell(value: pa.Scalar) -> Any:
    """Bytes stay where they are: a block is read where Spark put it."""
    return value.as_buffer() if isinstance(value, pa.BinaryScalar) and not isinstance(value, pa.StringScalar) else value.as_py()


def row(schema: pa.Schema, **values: Any) -> pa.RecordBatch:
    """One row for Spark."""
    return pa.RecordBatch.from_arrays([_array(values[field.name], field.type) for field in schema], schema=schema)


def _array(value: Any, type_: pa.DataType) -> pa.Array:
    """One value; bytes stay where they are."""
    if not isinstance(value, pa.Buffer):
        return pa.array([value], type_)
    ends = pa.py_buffer(np.array([0, value.size], np.int32))
    return pa.Array.from_buffers(pa.binary(), 1, [None, ends, value])


def block(group: int, slice: int, place: int, data: pa.Buffer) -> pa.RecordBatch:
    """One row of `BLOCK`."""
    return row(BLOCK, group=group, slice=slice, place=place, data=data)


def routes(spark: "SparkSession", parts: int) -> list[int]:
    """One number per shuffle partition that Spark's hash maps to that partition.

    At random, two buckets would often share a partition while another stays empty, and slices would not stay in order.
    """
    found: dict[int, int] = {}
    upto = 16 * parts
    while len(found) < parts:
        numbered = spark.range(upto).selectExpr("cast(id as int) as id", f"pmod(hash(cast(id as int)), {parts}) as part")
        for number, part in numbered.collect():
            found.setdefault(part, number)
        upto *= 4
    return [found[part] for part in range(parts)]


def shuffled(frame: "DataFrame", parts: int, order: Sequence[str]) -> "DataFrame":
    """Blocks partitioned by place, sorted within each partition."""
    return frame.repartition(parts, "place").sortWithinPartitions(*order)


def bucket_of(keys: NDArray[np.int64], buckets: int) -> NDArray[np.int32]:
    """The bucket of every key. Keys are mixed again, so that buckets do not follow another use of the hash.

    >>> bucket_of(np.array([1, 2, 3]), 4).tolist()
    [0, 1, 2]
    """
    spread = (keys.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(33)
    return (spread % np.uint64(buckets)).astype(np.int32)
