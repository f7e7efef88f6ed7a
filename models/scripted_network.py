"""A bundle's network as torch runs it: made of this project's code and the bundle's weights, or an own model's file.

A network is scripted from this project's code, never from what a file holds, but for an operator's own model, which the
configuration allows by its SHA-256 (`models.own_files`). The only module that may name torch.jit.

torch.jit is deprecated upstream though it works in the pinned torch; its warnings are silenced here and nowhere else.
"""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import orjson
import torch

from models import own_files, own_manifest, own_model, torchscript_archive
from models.architectures import build, shell
from models.archive import pack
from models.bounded_file import bytes_of
from models.bundle import FORMAT, Bundle
from models.bundle_errors import BundleError
from models.manifest import Manifest
from models.network_config import NetworkConfig


@contextmanager
def _torch_jit() -> Iterator[None]:
    """Where torch.jit may be called: only its own deprecation is silenced."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit", DeprecationWarning)
        yield


def _plain_executor() -> None:
    """The profiling executor would optimise, and so round differently, after its first runs."""
    torch._C._jit_set_profiling_executor(False)
    torch._C._jit_set_profiling_mode(False)
    torch._C._jit_set_texpr_fuser_enabled(False)


@lru_cache(maxsize=16)
def _script(architecture: str, config: NetworkConfig) -> torch.jit.ScriptModule:
    """The scripted module of this shape, weights to be replaced; scripting takes longer than copying."""
    _plain_executor()
    with _torch_jit():
        return torch.jit.script(build(architecture, config).eval())


def serving_network(bundle: Bundle) -> torch.jit.ScriptModule | own_model.OwnModel:
    """What scores windows as `Network.forward` does: a scripted module with the bundle's weights, or an own model.

    Raises:
        BundleError: The bundle cannot serve.
        OwnModelError: It is an own model's, and the configuration does not let its file run.
    """
    check(bundle)
    if own_manifest.is_of(bundle.manifest):
        return _own(bundle.manifest)
    return scripted(bundle)


def _own(manifest: Manifest) -> own_model.OwnModel:
    """The operator's file, loaded by torch: the bytes that were checked, so nothing can come between."""
    data = own_files.checked_bytes(own_manifest.sha256_of(manifest), bytes_of)
    _plain_executor()
    try:
        with _torch_jit():
            module = torch.jit.load(io.BytesIO(data), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except Exception as error:  # of what is no TorchScript file torch raises several kinds
        raise BundleError(f"model.torchscript is no TorchScript file: {str(error).strip()[:200]}") from error
    loaded = own_model.OwnModel(module, manifest)
    loaded.try_out()
    return loaded


def scripted(bundle: Bundle) -> torch.jit.ScriptModule:
    """A scripted module of its own with the bundle's weights. Raises BundleError where it has none."""
    check(bundle)
    if own_manifest.is_of(bundle.manifest):
        raise BundleError("an own model's bundle holds its SHA-256 alone; its file is yours")
    module = copy.deepcopy(_script(bundle.manifest.architecture, bundle.manifest.network))
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            tensor.numpy()[...] = bundle.weights[name]
    return module


@lru_cache(maxsize=64)
def _shapes(architecture: str, config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """Shape of each parameter of a network, which takes no memory here.

    Of the networks that a daemon trains this asks for no arithmetic on meta tensors: the first makes torch import its
    compiler and sympy, 800 modules and seconds of a start.
    """
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in shell(architecture, config).named_parameters()}


def check(bundle: Bundle) -> None:
    """Whether the weights fit the manifest; no memory is taken for what the manifest says.

    Raises:
        BundleError: Shapes or names are others, or a weight is not finite.
    """
    m = bundle.manifest
    try:
        expected = {} if own_manifest.is_of(m) else _shapes(m.architecture, m.network)
    except Exception as error:  # each architecture fails in its own way on what it cannot be
        raise BundleError(f"no network has this manifest: {' '.join(str(error).split())[:200]}") from error
    found = {name: array.shape for name, array in bundle.weights.items()}
    if expected != found:
        raise BundleError(f"weights do not fit the manifest: {found!s:.400} instead of {expected!s:.400}")
    for name, weight in bundle.weights.items():
        if not np.isfinite(weight).all():
            raise BundleError(f"weight {name} is not finite")


def torchscript_bytes(bundle: Bundle) -> bytes:
    """A `.pt` file for others: the scripted module, with manifest and optimiser as extra files inside."""
    extra = {
        torchscript_archive.MANIFEST: orjson.dumps(bundle.manifest.to_json(), option=orjson.OPT_SORT_KEYS),
        torchscript_archive.OPTIMISER: pack({"format": FORMAT, "digest": bundle.digest}, bundle.optimiser),
    }
    file = io.BytesIO()
    with _torch_jit():
        torch.jit.save(scripted(bundle), file, _extra_files=extra)
    return file.getvalue()
