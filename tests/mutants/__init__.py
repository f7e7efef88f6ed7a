"""Changes planted in the product, one at a time: the tests must find each."""
