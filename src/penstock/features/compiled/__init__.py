"""The second tier of the feature kernel: one function per entity, generated from its plan and compiled for this processor.

The table-driven kernel (`features.kernel`) reads at every event what there is to compute. A generated function knows it: places
and counts are constants, loops over aggregates are gone. It runs events that come in order to keys that are known, and leaves
all else, one event at a time, to the table-driven kernel (`kernel.rare`), on the same arrays. Both give the same bits and leave
the same state, so that one can take over from the other between any two batches.

* `source`: a plan to the text of a function;
* `parts`: what generated functions call;
* `build`: a text to an object file, in a process of its own;
* `store`: object files on disk, and loaded;
* `background`: building beside a service.
"""
