"""Beyond one machine: a detector's history and its stream on Spark, with the numbers of the embedded engine.

Spark carries *blocks*: some hundreds or thousands of events as Arrow bytes in one cell. What it sorts, shuffles and
keeps is a few fat rows, not millions of thin ones; inside a block the same kernel works as everywhere.

    session    Spark itself, quiet                            source     the detector, opened once in every worker
    blocks     events as bytes, and where they go             buckets    one entity's events of some keys in the kernel

    backfill   history: files -> rows of a replay             stream     from Kafka to Kafka, for ever
    files      which rows are read together                   inbox      messages -> events
    scan       files -> slices in sequence order              claiming   by id: what came before is dropped
    clock      ids that repeat, the stream's clock            holding    by entity and bucket: Spark's keyed state
    spreading  slices -> buckets                              finishing  decisions, by slice
    gathering  features back beside their events              told       what is sent; outbox: once each
"""
