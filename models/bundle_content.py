"""What a bundle's file holds once it is read: data, of which nothing has been run."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[Any]]


class BundleContent(NamedTuple):
    """A file's parts, as they were found.

    Attributes:
        manifest: JSON types; no more is known of it.
        weights: By the names of the network's parameters.
        optimiser: By the optimiser's own names.
        digest: What the file says that the content's digest is.
    """

    manifest: Any
    weights: dict[str, Floats]
    optimiser: Arrays
    digest: Any
