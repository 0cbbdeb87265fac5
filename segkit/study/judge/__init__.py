"""From results to a decision: which runs can win, which of them do, and how sure that is.

In: the runs table, the partitions and the outcomes of the confirmation. Out: ranks, places and the
recommendation with its reasons.
"""
