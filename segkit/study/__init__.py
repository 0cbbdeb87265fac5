"""A study: compose, plan, run, judge and keep a sweep as one graph of shared stages."""

#: The groups of a run, each with its option and parameters, in the order of the data flow.
RUN_GROUPS = ("data", "features", "scaler", "projection", "clusterer")
