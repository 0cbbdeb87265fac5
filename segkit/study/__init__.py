"""A study: compose, plan, execute and collect a sweep as one graph of shared stages."""
