"""What a study leaves behind: its tables, its provenance, and their checked reading.

In: outcomes while a study runs, and folders that anybody may have written. Out: files, and a
`Study` whose every value was checked.
"""
