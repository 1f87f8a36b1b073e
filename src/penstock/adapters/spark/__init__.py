"""Beyond one machine: a detector's history and its stream on Spark, with the numbers of the embedded engine.

Spark carries *blocks*: some hundreds or thousands of events as Arrow bytes in one cell. What it sorts, shuffles and
keeps is a few fat rows, not millions of thin ones; inside a block the same kernel works as everywhere.

    session   Spark itself: quiet, and with this interpreter      backfill   files -> features, scores, decisions
    source    the detector, opened once in every Python worker    scan       files -> slices in sequence order
    blocks    events as bytes, and where they go                  clock      the stream's clock at the start of each slice
    buckets   one entity's events of some keys through the kernel gathering  features back beside their events, and decided
"""
