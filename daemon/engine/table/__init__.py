"""The arrays of all series of a stream, and which slots of them readings get."""
