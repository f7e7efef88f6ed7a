"""What /metrics says about a picture."""

from __future__ import annotations

import io
import math
import re
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import generate_latest
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from adapters.brokers.kafka_source import KafkaSource
from adapters.brokers.nats_source import NatsSource
from adapters.sinks.standard_output import StandardOutput
from adapters.sockets.endpoint import CLOSINGS, REFUSALS
from adapters.sockets.listener import Listener
from adapters.sockets.tcp import TcpEndpoint
from adapters.sockets.udp import UdpListener
from adapters.uploads.inbox import Inbox, Inboxes
from daemon.config.metric_settings import RemoteWriteSettings
from daemon.engine.messages.events import REASONS
from daemon.metrics import catalogue
from daemon.metrics.catalogue import METRICS, SERIES_METRICS
from daemon.metrics.collector import BUCKETS, Durations, Picture, make_registry
from daemon.metrics.exposition import expose
from daemon.metrics.snapshot import OpenEpisode, snapshots
from daemon.service.delivery import Courier
from daemon.service.metric_writer import MetricWriter
from tests.conftest import ROOT, need
from tests.daemon.engine.small_engines import STREAM, engine, feed, noise, together
from tests.daemon.web.pictures import NOW, columns, picture, stream

PAGE = ROOT / "docs/metrics.md"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
HOSTILE = 'a"b\\c\nd{}<script>'

Key = tuple[str, frozenset[tuple[str, str]]]
OPEN = OpenEpisode("0123456789abcdef", NOW, ("model", "novelty"))


def exported(shown: Picture, max_series: int = 1000) -> dict[Key, float]:
    """Value by name and labels, as a Prometheus would read it."""
    text, _ = expose(make_registry(lambda: replace(shown, max_series=max_series)))
    families = text_string_to_metric_families(text.decode())
    found = [(s.name, frozenset(s.labels.items()), s.value) for family in families for s in family.samples]
    assert len({each[:2] for each in found}) == len(found), "a sample is there twice"
    return {(name, labels): value for name, labels, value in found}


def key(name: str, **labels: str) -> Key:
    return f"tidegauge_{name}", frozenset(labels.items())


def names(samples: dict[Key, float]) -> set[str]:
    return {name for name, _ in samples}


def test_a_scored_series_has_all_its_metrics() -> None:
    """Reading, expected value, bounds, score, error, rarity, threshold and time are those of the snapshot."""
    samples = exported(picture())
    one = {"stream": "taxi", "series": "nyc"}
    for name, bound in {"reading": 100, "expected": 99, "expected_lower": 97, "expected_upper": 101}.items():
        assert samples[key(name, **one, variable="value")] == bound
    for name, value in {
        "anomaly_score": 0.0,
        "reconstruction_error": float(np.float32(0.0125)),
        "rarity": 2.5,
        "threshold": 3.16,
        "last_reading_timestamp_seconds": NOW,
        "silent": 0,
        "warm_up_ratio": 1,
    }.items():
        assert samples[key(name, **one)] == value


def test_reasons_are_counted_from_the_start() -> None:
    """Every series has an anomaly counter for each reason, at 0, before anything happened."""
    samples = exported(picture(stream(series=columns(["new"], status="warming"))))
    for reason in ("model", "novelty", "limit", "flatline", "gap", "drift"):
        assert samples[key("anomalies_total", stream="taxi", series="new", reason=reason)] == 0


def test_anomalies_are_counted_under_their_reason() -> None:
    """The columns of the snapshot's counts go to the reasons in their order."""
    series = replace(columns(["nyc"]), anomalies=np.arange(1, len(REASONS) + 1)[None, :])
    samples = exported(picture(stream(series=series)))
    counts = {r: samples[key("anomalies_total", stream="taxi", series="nyc", reason=r)] for r in ("model", "gap")}
    assert counts == {"model": 1, "gap": 5}


def test_a_series_that_was_never_scored_has_no_score() -> None:
    """In the warm-up there are reading, progress and time of readiness, but no score, error or expected value."""
    samples = exported(picture(stream(series=columns(["new"], status="warming"))))
    assert names(samples).isdisjoint(
        {f"tidegauge_{n}" for n in ("anomaly_score", "expected", "expected_lower", "rarity", "reconstruction_error")}
    )
    assert samples[key("warm_up_ratio", stream="taxi", series="new")] == 0.63
    assert samples[key("ready_timestamp_seconds", stream="taxi", series="new")] == NOW + 86_400
    assert samples[key("stream_ready_timestamp_seconds", stream="taxi")] == NOW + 86_400
    assert samples[key("reading", stream="taxi", series="new", variable="value")] == 100


def test_a_series_ready_but_not_yet_scored_has_no_score() -> None:
    """Between joining the model and the first scored reading all is still zero, which is no expected value."""
    ready = replace(columns(["new"], status="warming"), status=("ready",), ready_at=np.zeros(1, np.int64))
    assert key("anomaly_score", stream="taxi", series="new") not in exported(picture(stream(series=ready)))


def test_a_limit_broken_in_the_warm_up_has_a_score() -> None:
    """A rule that needs no network lifts the score above 1 before the series is ready, and that is exported."""
    series = replace(columns(["new"], status="warming"), score=np.full(1, 1.001, np.float32))
    assert exported(picture(stream(series=series)))[key("anomaly_score", stream="taxi", series="new")] > 1


def test_a_silent_series_shows_no_old_reading() -> None:
    """While a gap is open nothing old passes for a reading or a score; silence and its beginning are there."""
    series = replace(columns(["nyc"]), silent=np.ones(1, np.bool_))
    samples = exported(picture(stream(series=series)))
    assert names(samples).isdisjoint({"tidegauge_reading", "tidegauge_expected", "tidegauge_anomaly_score"})
    assert samples[key("silent", stream="taxi", series="nyc")] == 1
    assert samples[key("last_reading_timestamp_seconds", stream="taxi", series="nyc")] == NOW
    assert samples[key("silent_series", stream="taxi")] == 1


def test_every_variable_of_a_vector_is_a_sample() -> None:
    """The label `variable` tells the variables of one reading apart; the score has none."""
    samples = exported(picture(stream(series=columns(["p"], width=2))))
    for variable in ("v0", "v1"):
        assert key("expected_upper", stream="taxi", series="p", variable=variable) in samples
    assert key("anomaly_score", stream="taxi", series="p") in samples


def test_beyond_the_cap_the_top_by_score_are_exported() -> None:
    """Over all streams the greatest scores are kept, the rest is counted by stream and still in the aggregates."""
    low = replace(columns([f"low-{i}" for i in range(5)]), score=np.linspace(0.1, 0.5, 5, dtype=np.float32))
    high = replace(columns([f"high-{i}" for i in range(5)]), score=np.linspace(0.45, 3, 5, dtype=np.float32))
    samples = exported(picture(stream("a", low), stream("b", high)), max_series=6)
    kept = {dict(labels)["series"] for name, labels in samples if name == "tidegauge_threshold"}
    assert kept == {"low-4", "high-0", "high-1", "high-2", "high-3", "high-4"}
    assert samples[key("series_not_exported", stream="a")] == 4
    assert samples[key("series_not_exported", stream="b")] == 0
    assert samples[key("series", stream="a", status="ready")] == 5


def test_what_is_open_is_exported_before_the_rest() -> None:
    """Beyond the cap a series with an open episode or gap is kept whatever its score, and says how severe it is."""
    series = replace(
        columns([f"s{i}" for i in range(5)]),
        open=np.array([False, True, False, False, False]),
        severity=np.array([np.nan, 3.5, np.nan, np.nan, np.nan]),
    )
    samples = exported(picture(stream(series=series)), max_series=2)
    opened = {
        dict(labels)["series"]: value for (name, labels), value in samples.items() if name.endswith("episode_open")
    }
    assert opened == {"s1": 1, "s4": 0}
    assert samples[key("episode_severity", stream="taxi", series="s1")] == 3.5
    assert key("episode_severity", stream="taxi", series="s4") not in samples


@pytest.mark.parametrize("cap", [0, 1, 10_000])
def test_any_cap_leaves_out_what_it_says(cap: int) -> None:
    """Exported and left out are together all series, with a cap of none too, and equal scores do no harm."""
    series = replace(columns([f"s{i}" for i in range(20)]), score=np.zeros(20, np.float32))
    samples = exported(picture(stream(series=series)), max_series=cap)
    kept = sum(name == "tidegauge_silent" for name, _ in samples)
    assert kept == min(cap, 20)
    assert samples[key("series_not_exported", stream="taxi")] == 20 - kept


def test_numbers_that_are_none_are_left_out() -> None:
    """NaN and infinity are never exported: an alert rule on them would be wrong either way."""
    score, error = np.array([math.nan, 1], np.float32), np.array([0.0125, math.inf], np.float32)
    series = replace(columns(["a", "b"]), score=score, error=error)
    samples = exported(picture(stream(series=series)))
    assert all(math.isfinite(value) for value in samples.values())
    assert key("anomaly_score", stream="taxi", series="b") in samples


def test_an_empty_daemon_exports_what_it_can() -> None:
    """Before state is loaded there are no streams, sources or store; readiness is there and says 0."""
    samples = exported(Picture(streams={}, sources={}, store={}, process={"ready": False}, taken_at=1.0))
    assert samples[key("ready")] == 0
    assert "tidegauge_checkpoint_timestamp_seconds" not in names(samples)


def test_a_stream_without_series_or_model_exports_its_counters() -> None:
    """No readings yet: counters and rejections by reason are there at 0, times that do not exist are not."""
    empty = stream(series=columns([]), model=None, greatest_at=None, next_training_at=None)
    samples = exported(picture(empty))
    assert samples[key("readings_rejected_total", stream="taxi", reason="revision")] == 0
    assert samples[key("fine_tunes_total", stream="taxi", outcome="failed")] == 0
    absent = {
        "stream_warm_up_ratio",
        "model_info",
        "stream_last_slot_timestamp_seconds",
        "next_training_timestamp_seconds",
    }
    assert names(samples).isdisjoint({f"tidegauge_{name}" for name in absent})


def test_the_store_and_sources_are_there() -> None:
    """Checkpoint in seconds, sources by name, and whatever a source counts as an incident of its kind."""
    samples = exported(picture())
    assert samples[key("checkpoint_timestamp_seconds")] == NOW
    assert samples[key("checkpoint_size_bytes")] == 123_456
    assert samples[key("source_up", source="taxi/0")] == 1
    assert samples[key("source_incidents_total", source="taxi/0", kind="rotations")] == 2
    assert samples[key("jobs_skipped_total", task="tick")] == 0
    assert samples[key("process_resident_memory_bytes")[0].removeprefix("tidegauge_"), frozenset()] > 0


def test_the_part_of_the_series_is_there() -> None:
    """Which part this is is exported always, and what was passed over where a source says it."""
    assert exported(picture())[key("shard_info", index="0", of="1")] == 1
    shown = replace(picture(), shard=(2, 4), sources={"taxi/0": {"up": 1.0, "passed_over": 7.0}})
    samples = exported(shown)
    assert samples[key("shard_info", index="2", of="4")] == 1
    assert samples[key("source_readings_passed_over_total", source="taxi/0")] == 7
    assert not [name for name, _ in samples if "incidents" in name], "it is no incident"


def test_a_listener_counts_each_reason_from_the_start() -> None:
    """A reason that never occurred is there at 0, so that an alert rule on its increase sees the first."""
    samples = exported(picture(sources={"taxi/0": Listener("taxi/0", TcpEndpoint("127.0.0.1", 0)).status()}))
    for reason in REFUSALS:
        assert samples[key("source_refused_total", source="taxi/0", reason=reason)] == 0
    for reason in CLOSINGS:
        assert samples[key("source_closed_total", source="taxi/0", reason=reason)] == 0


def test_a_hostile_label_comes_back_as_it_was() -> None:
    """Quotes, backslashes and line ends in a label are escaped, so that a parser reads the same label."""
    samples = exported(picture(stream(series=columns([HOSTILE]))))
    assert key("silent", stream="taxi", series=HOSTILE) in samples


@pytest.mark.parametrize("accept", ["", "text/plain", OPENMETRICS, "application/openmetrics-text", "*/*"])
def test_the_text_is_what_prometheus_client_writes(accept: str) -> None:
    """The faster encoder gives the library's bytes and content type, hostile labels and histograms included."""
    durations = Durations()
    durations.observe("scoring", 0.02, "taxi")
    odd = replace(columns([HOSTILE, "é", "b"], width=2), episodes={1: OPEN})
    shown = picture(stream(series=odd), stream("new", columns(["x"], status="warming")), durations=durations.taken())
    registry = make_registry(lambda: shown)
    encode, content_type = choose_encoder(accept)
    own, own_type = expose(registry, accept)

    def lasting(text: bytes) -> list[bytes]:
        return [line for line in text.splitlines() if not line.startswith(b"process_")]

    assert lasting(own) == lasting(encode(registry))
    assert own_type == content_type


def test_a_count_leads_to_its_event() -> None:
    """While an episode is open the counts of its reasons have its id as exemplar, in OpenMetrics; others have none."""
    odd = replace(columns(["a", "b"]), episodes={1: OPEN})
    text, _ = expose(make_registry(lambda: picture(stream(series=odd))), OPENMETRICS)
    found = {
        (sample.labels["series"], sample.labels["reason"]): sample.exemplar
        for family in parse_openmetrics(text.decode())
        for sample in family.samples
        if sample.name == "tidegauge_anomalies_total"
    }
    leading = {key: each.labels["event"] for key, each in found.items() if each}
    assert leading == {("b", "model"): "0123456789abcdef", ("b", "novelty"): "0123456789abcdef"}
    assert len(found) == 2 * len(REASONS)


def test_openmetrics_can_be_parsed() -> None:
    """The strict parser of OpenMetrics takes the whole exposition."""
    shown = picture(stream(series=columns([HOSTILE, "b"])), stream("new", columns(["x"], status="warming")))
    text, _ = expose(make_registry(lambda: shown), OPENMETRICS)
    families = {family.name for family in parse_openmetrics(text.decode())}
    assert {"tidegauge_anomalies", "tidegauge_scoring_seconds", "tidegauge_build_info"} <= families


def test_promtool_finds_nothing_to_complain_about() -> None:
    """`promtool check metrics` of Prometheus itself accepts names, types and help texts."""
    promtool = need("promtool")
    text, _ = expose(make_registry(lambda: picture(stream(series=columns(["a", HOSTILE])))))
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False, timeout=60)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_a_thousand_series_take_less_than_a_tenth_of_a_second() -> None:
    """Collecting and writing 1,000 series costs at most 100 ms of a core (the best of several)."""
    shown = picture(stream(series=columns([f"meter-{i:06d}" for i in range(1000)])))
    registry = make_registry(lambda: shown)

    def cost() -> float:
        began = time.thread_time()
        expose(registry, OPENMETRICS)
        return time.thread_time() - began

    assert min(cost() for _ in range(8)) < 0.1


def test_what_a_budget_withholds_is_counted_and_shown() -> None:
    """Alarms told and withheld of the stream, and 1 for each series of whose open event nobody was told."""
    made = engine(alerts={"alarms_per_day": 2, "limits": {"max": 100}})
    feed(made, together(*(noise(range(20), name) for name in "abc")))
    feed(made, [(name, 20, 500.0) for name in "abc"] + [("d", 21, 1.0)])
    snapshot = snapshots(made, (), lambda _: None)[STREAM]
    samples = exported(picture(snapshot))
    assert [samples[key("episode_withheld", stream=STREAM, series=name)] for name in "abc"] == [0, 1, 1]
    counts = [samples[key("alarms_total", stream=STREAM, outcome=outcome)] for outcome in ("told", "withheld")]
    assert counts == [1, 2]
    assert samples[key("alarm_budget", stream=STREAM)] == 2


def test_every_metric_is_in_the_table_and_has_its_labels() -> None:
    """What is exported is what the table documents: no other name or label, and nothing that is not exported."""
    shown = picture(
        stream(series=replace(columns(["a"]), open=np.ones(1, np.bool_), severity=np.full(1, 2.5))),
        stream("new", columns(["x"], status="warming")),
        sources={
            "taxi/0": {
                **dict.fromkeys(("lag_bytes", "files", "compressed", "rotations", "rejected_lines"), 0),
                "up": 1,
                "position_bytes": 9,
                "series": 3,
                "series_limit": 75,
                "passed_over": 2,
            },
            "taxi/1": Listener("taxi/1", TcpEndpoint("127.0.0.1", 0)).status(),
            "taxi/2": UdpListener("taxi/2", "127.0.0.1", 0).status(),
            "taxi/3": Inbox("taxi/3", "http", Inboxes()).status(),
            "taxi/4": NatsSource("taxi/4", "nats://127.0.0.1:1", subject="a", consumer="b").status(),
            "taxi/5": KafkaSource("taxi/5", "kafka://127.0.0.1:1", topics=["a"], consumer="b").status(),
        },
        sinks={"stdout": Courier("stdout", StandardOutput(io.BytesIO()), Path(), (0, 0)).status(3)},
        writers={"a": MetricWriter(RemoteWriteSettings(url="http://127.0.0.1:1"), list).status()},
    )
    behind = {"new": {"training": "new@7-fresh", "since": 5.0, "inputs": 3}}
    shown = replace(shown, process={**shown.process, "behind": behind})
    text = generate_latest(make_registry(lambda: shown)).decode()
    found: dict[str, tuple[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = family.name + "_total" * (family.type == "counter")
            if name.startswith("tidegauge_"):
                found.setdefault(name, (family.type, set()))[1].update(set(sample.labels) - {"le"})
    assert found == {spec.full_name: (spec.type, set(spec.labels)) for spec in METRICS}


def test_the_names_other_detectors_rules_expect_are_there() -> None:
    """The per-series names of the conventions, exactly."""
    wanted = "reading expected expected_lower expected_upper anomaly_score reconstruction_error rarity threshold"
    wanted += " anomalies_total last_reading_timestamp_seconds"
    assert set(wanted.split()) <= {spec.name for spec in SERIES_METRICS}


def test_every_metric_is_documented() -> None:
    """docs/metrics.md is made from the table and is up to date; each meaning is a sentence."""
    page = PAGE.read_text(encoding="utf-8")
    remedy = "docs/metrics.md is out of date; run .venv/bin/python -m daemon.metrics.catalogue docs/metrics.md"
    assert catalogue.documented(page) == page, remedy
    for spec in METRICS:
        assert f"`{spec.full_name}`" in page
        assert re.fullmatch(r".{8,}\.", spec.meaning), spec.name


def test_a_page_without_the_marks_is_refused() -> None:
    """Writing into a page that has no place for the tables says so instead of losing them."""
    with pytest.raises(ValueError, match="add both marks"):
        catalogue.documented("# Metrics\n")


def test_durations_fall_into_their_buckets() -> None:
    """Counts are cumulative, a value on a bound belongs below it, and the longest only to the last."""
    durations = Durations()
    for seconds in (0.0005, BUCKETS[1], 10_000.0, -1.0):
        durations.observe("scoring", seconds, "taxi")
    counts, total = durations.read("scoring")["taxi"]
    assert (counts[0], counts[1], counts[-2], counts[-1]) == (2, 3, 3, 4)
    assert total == pytest.approx(10_000.0055)
    assert durations.read("training") == {}


def test_an_unknown_duration_is_refused() -> None:
    """A misspelt name is an error, not a metric nobody finds."""
    with pytest.raises(ValueError, match="known are scoring"):
        Durations().observe("scorign", 1.0)


def test_durations_may_be_observed_by_many_threads() -> None:
    """No observation is lost between threads."""
    durations = Durations()

    def observe() -> None:
        for _ in range(2000):
            durations.observe("journal", 0.01)

    threads = [threading.Thread(target=observe) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert durations.read("journal")[""][0][-1] == 8000


def test_histograms_exist_before_the_first_duration() -> None:
    """Scoring and training of each stream, journal and checkpoint begin at 0."""
    samples = exported(picture())
    assert samples[key("scoring_seconds_count", stream="taxi")] == 0
    assert samples[key("checkpoint_seconds_bucket", le="+Inf")] == 0
