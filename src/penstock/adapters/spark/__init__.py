"""Spark: backfill of a detector's history and stream processing, with the same numbers as the embedded engine.

Spark carries *blocks*: some hundreds or thousands of events as Arrow bytes in one cell. It sorts, shuffles and keeps a few
large rows instead of millions of small ones; inside a block the same kernel works as everywhere.

    session    starts Spark                                   source        opens the detector once in every worker
    blocks     events as bytes, and their partitions          buckets       runs the kernel on some keys of one entity

    backfill   history: files -> rows of a replay             stream        Kafka to Kafka
    files      rows that are read together                    inbox         messages -> events
    scan       files -> slices in sequence order              dedup         drops repeated ids
    clock      repeated ids, the stream's clock               keyed_state   state by entity and bucket
    shuffle    slices -> buckets                              state_cache   state kept in worker processes
    collect    features joined to their events                decide        decisions, by slice
                                                              publish       messages of a micro-batch
                                                              outbox        sends them exactly once
"""
