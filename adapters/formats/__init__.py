"""Formats: from bytes to readings, with a reason for every line that is none. One module and one registry line each.

A new one is a class with `parse`, which is given whole lines and the header in force (`adapters.base.Format`), or with
`read`, which is given a whole file (`adapters.base.DocumentFormat`). It goes by the rules of `rows` (numbers, names)
and `stamps`, keeps no state between calls, and works in bounded memory. A function `made` makes it from the
configuration's section `format`; the registry says which keys it takes; tests/conformance/test_formats.py holds it to
all this.
"""
