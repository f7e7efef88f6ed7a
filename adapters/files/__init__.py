"""Files as sources: followed while they grow, rotate, are truncated, vanish and come back; and standard input.

A new source is a class that meets `adapters.base.Source`: whole lines in chunks, each with a position from which
exactly the lines after it come again, never blocking, in bounded memory. A function `made` makes it from an entry of
`sources`; `file_registry` says which keys it takes and has its sample; tests/conformance/test_sources.py holds it to
all this.
"""
