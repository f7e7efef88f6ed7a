"""Versions of a stream's models: which one serves, what becomes of each, and what puts one into service.

The engine knows bundles only. Here the store's numbered versions are told apart and recorded; repeating an entry of the
journal records the same.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

from daemon.config.settings import Settings, StreamSettings
from daemon.engine.learning.promotion import check_fit
from daemon.engine.machine.engine import Engine, StepResult
from daemon.engine.messages.inputs import Input, Promoted, PromotionReason
from daemon.store import ModelUnknown, Store
from models.bundle import Bundle, BundleError, own_bundle
from models.scorer import Scorer

log = logging.getLogger(__name__)


class Versions:
    """The versions of all streams' models.

    Args:
        store: Holds their files and what became of them.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, tuple[str, int | None]] = {}

    # -- which serves ------------------------------------------------------------------------------------------------

    def serving(self, engine: Engine, stream: str) -> int | None:
        """Number of the model in service among the stream's versions; None where no model serves."""
        digest = champion(engine, stream)
        if digest is None:
            return None
        known, version = self._known.get(stream, ("", None))
        if known != digest:
            version = self._version_of(stream, digest)
            self._known[stream] = digest, version
        return version

    def _version_of(self, stream: str, digest: str) -> int | None:
        """The newest version with this content."""
        models = reversed(self._store.models(stream))
        return next((r.version for r in models if r.version and r.digest == digest), None)

    # -- what becomes of them ----------------------------------------------------------------------------------------

    def record(self, engine: Engine, seq: int, item: Input, before: str | None, result: StepResult) -> None:
        """Record what an entry of the journal meant for the models.

        Args:
            engine: The entry is applied.
            seq: Its number.
            item: The input it holds.
            before: Of a `Promoted`, digest of the bundle that served until then.
            result: What it caused.
        """
        for judged in result.judged:
            verdict = asdict(judged.verdict)
            if judged.verdict.passed:
                log.info("model promoted", extra={"request": judged.request_id, "stream": judged.stream})
            else:
                log.warning("model refused by the gate", extra={"request": judged.request_id, **verdict})
            status = "promoted" if judged.verdict.passed else "rejected"
            self._store.judge_model(judged.request_id, status, seq, verdict)
            self.retain(engine, judged.stream)
        for back in result.rolled_back:
            log.warning("promotion taken back", extra=asdict(back))
            self._store.serve_model(back.stream, back.serving, seq, back.gone, back.numbers)
        if isinstance(item, Promoted):
            self._record_promoted(engine, seq, item, before)

    def _record_promoted(self, engine: Engine, seq: int, item: Promoted, before: str | None) -> None:
        """Record which model an input brought into service; a bundle from elsewhere becomes the next version."""
        bundle = engine.streams[item.stream].learner.champion
        assert bundle is not None, "it serves since this entry"
        if self._version_of(item.stream, bundle.digest) is None:
            self._store.put_model(
                item.stream,
                f"{item.stream}/bundle/{bundle.digest}",
                bundle.to_file_bytes(),
                digest=bundle.digest,
                manifest=asdict(bundle.manifest) | {"configured": True},
                outcome="promoted",
            )
        gone = before if item.reason == "rollback" and before != bundle.digest else None
        self._store.serve_model(item.stream, bundle.digest, seq, gone)

    def retain(self, engine: Engine, stream: str) -> None:
        """Delete model files that `model.keep` and recovery no longer ask for."""
        keep = engine.streams[stream].settings.model.keep
        self._store.retain_models(stream, keep, champion(engine, stream))

    # -- what puts one into service ----------------------------------------------------------------------------------

    def before(self, engine: Engine, stream: str) -> int:
        """The last promoted version before the one in service.

        Raises:
            ModelUnknown: There is no such stream or version.
        """
        self._check_known(engine, stream)
        serving = self.serving(engine, stream)
        if serving is None:
            raise ModelUnknown(f"no version of {stream} is in service, so none is before it; promote one by its number")
        records = self._store.models(stream)
        earlier = [r.version for r in records if r.status == "promoted" and r.version and r.version < serving]
        if not earlier:
            raise ModelUnknown(f"{stream} has no promoted version before {serving}, the one in service")
        return max(earlier)

    def promotion(self, engine: Engine, stream: str, version: int, reason: PromotionReason, now_ms: int) -> Promoted:
        """The input that puts a version into service, checked: what is journaled must be applicable.

        Raises:
            ModelUnknown: There is no such stream or version, or its file is no longer kept.
            ModelChecksum: Its file is damaged.
            BundleError: It does not fit the stream.
        """
        self._check_known(engine, stream)
        bundle = Bundle.from_file_bytes(self._store.read_model(stream, version))
        try:
            engine.streams[stream].learner.check(bundle)
        except ValueError as error:
            raise BundleError(str(error)) from error
        Scorer(bundle)
        return Promoted(stream, bundle.to_bytes(), now_ms, reason)

    def _check_known(self, engine: Engine, stream: str) -> None:
        if stream not in engine.streams:
            raise ModelUnknown(f"{self._store.directory} holds no state of stream {stream} yet, so it has no models")


def champion(engine: Engine, stream: str) -> str | None:
    """Digest of the bundle in service; None where the stream has none, or there is no such stream yet."""
    bundle = engine.streams[stream].learner.champion if stream in engine.streams else None
    return None if bundle is None else bundle.digest


def configured(engine: Engine, settings: Settings, now_ms: int) -> list[Promoted]:
    """Inputs that put configured models into service where none is, each checked before it is journaled.

    Raises:
        BundleError: One cannot be read, does not fit its stream, or may not run.
    """
    found = []
    for name, stream in settings.streams.items():
        if champion(engine, name) is None and (item := promotion(name, stream, now_ms)) is not None:
            found.append(item)
    return found


def promotion(name: str, stream: StreamSettings, now_ms: int = 0) -> Promoted | None:
    """The input that puts a stream's configured model into service, checked; None where none is configured.

    Raises:
        BundleError: It cannot be read, does not fit the stream, or may not run.
    """
    model = stream.model
    if model.sha256 is not None:
        width = stream.format.width
        bundle = own_bundle(model.sha256, name, model.window, width, stream.interval, model.calendar)
    elif model.bundle is not None:
        bundle = _configured_bundle(name, model.bundle, stream)
    else:
        return None
    Scorer(bundle)
    return Promoted(name, bundle.to_bytes(), now_ms)


def _configured_bundle(name: str, path: Path, stream: StreamSettings) -> Bundle:
    from models.bundle_file import read_bundle  # and with it torch

    try:
        bundle = read_bundle(path)
        check_fit(bundle, name, stream)
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}") from error
    except BundleError:
        raise
    except ValueError as error:
        raise BundleError(f"streams.{name}.model.bundle is {path}: {error}") from error
    return bundle
