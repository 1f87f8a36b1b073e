"""The second tier of the feature kernel: one function per entity, generated from its plan and compiled for this processor.

The table-driven kernel (`features.kernel`) reads the plan at every event. In a generated function, places and counts are
constants and loops over aggregates are unrolled. It computes events that arrive in order for known keys, and passes all other
events one by one to the table-driven kernel (`kernel.rare`), on the same arrays. Both give the same bits and leave the same
state, so either can replace the other between two batches.

* `source`: generates the text of a function from a plan;
* `parts`: the functions that generated functions call;
* `build`: compiles a text to an object file, in a separate process;
* `store`: keeps object files on disk, and loads them;
* `background`: compiles while a service runs.
"""
