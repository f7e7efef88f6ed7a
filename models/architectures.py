"""Architectures by name: what a configuration or a bundle's manifest calls a network."""

from __future__ import annotations

from collections.abc import Callable

from models.architecture_names import ENSEMBLE
from models.autoencoders import DENSE, DenseEnsemble, MaskedEnsemble
from models.ensemble import Ensemble
from models.network import Network
from models.network_config import NetworkConfig
from models.recurrent import LstmEnsemble
from models.tasks import TransformerClassifier, TransformerReconstructor

Builder = Callable[[NetworkConfig, int], Network]

_BUILDERS: dict[str, Builder] = {
    "masked-autoencoder": MaskedEnsemble,
    "manufacturing": lambda config, seed: DenseEnsemble(config, DENSE["manufacturing"], seed),
    "dense-3": lambda config, seed: DenseEnsemble(config, DENSE["dense-3"], seed),
    "dense-4": lambda config, seed: DenseEnsemble(config, DENSE["dense-4"], seed),
    "lstm": LstmEnsemble,
    "transformer": TransformerReconstructor,
    "transformer-classifier": TransformerClassifier,
    ENSEMBLE: lambda config, seed: Ensemble(config, build, seed),
}
_WITH_OPTIONS = {"lstm", "transformer", "transformer-classifier", ENSEMBLE}
ARCHITECTURES = tuple(name for name in _BUILDERS if name != ENSEMBLE)
"""Those that stand by themselves; an ensemble is made of them."""


def build(architecture: str, config: NetworkConfig, seed: int = 0) -> Network:
    """A freshly initialised network, in training mode.

    Args:
        architecture: Its name.
        config: Its shapes.
        seed: Seed of the initial weights; the global generator is not touched.

    Raises:
        ValueError: No architecture has this name, or it has no such option.
    """
    network = shell(architecture, config, seed)
    network.complete(config)
    return network


def shell(architecture: str, config: NetworkConfig, seed: int = 0) -> Network:
    """A network whose parameters are there, and whose buffers may not be worked out. Raises as `build` does."""
    if architecture not in _BUILDERS:
        raise ValueError(f"architecture {architecture!r} is not known; use one of {', '.join(ARCHITECTURES)}")
    if config.options and architecture not in _WITH_OPTIONS:
        raise ValueError(f"architecture {architecture} has no options, but was given {dict(config.options)}")
    return _BUILDERS[architecture](config, seed)
