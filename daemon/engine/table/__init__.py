"""The arrays of all series of a stream, and where a reading has its place in them."""
