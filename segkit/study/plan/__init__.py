"""From configurations to a graph: which stages there are, their keys, their order and their cost.

In: resolved configurations and the facts of their tables. Out: a `Plan` and, after the screen, a
`Confirmation`, both graphs of unique stages. Nothing is loaded or computed.
"""
