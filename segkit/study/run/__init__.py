"""From a graph to stored results: what each kind of stage computes, where, and with what resources.

In: tasks of a plan. Out: an `Outcome` for each stage, its result in the store.
"""
