"""Every metric Tidegauge exports: name, type, labels, meaning. docs/metrics.md is made from this table."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

from daemon.config import generated

PREFIX = "tidegauge_"


@dataclass(frozen=True, slots=True)
class Spec:
    """One metric; `name` lacks the prefix, a counter's has its `_total`."""

    name: str
    type: Literal["gauge", "counter", "histogram"]
    labels: tuple[str, ...]
    meaning: str

    @property
    def full_name(self) -> str:
        """The name as Prometheus knows it."""
        return PREFIX + self.name


_NAMES = ("stream", "series"), ("stream", "series", "variable"), ("stream",), ("source",), ("sink",)
_SERIES, _VARIABLE, _STREAM, _SOURCE, _SINK = _NAMES

SERIES_METRICS: tuple[Spec, ...] = (
    Spec("reading", "gauge", _VARIABLE, "Last reading; absent while the series is silent."),
    Spec("expected", "gauge", _VARIABLE, "What the model expected the last reading to be; absent until scored."),
    Spec("expected_lower", "gauge", _VARIABLE, "Lower bound of what is usual around the expected value."),
    Spec("expected_upper", "gauge", _VARIABLE, "Upper bound of what is usual around the expected value."),
    Spec("anomaly_score", "gauge", _SERIES, "Rarity over threshold; above 1 is anomalous; absent until scored."),
    Spec("reconstruction_error", "gauge", _SERIES, "Error of the network on the last window, in units of the series."),
    Spec("rarity", "gauge", _SERIES, "Minus log10 of how often so rare a value occurs."),
    Spec("threshold", "gauge", _SERIES, "Rarity from which a reading is anomalous; by the budget, moved by labels."),
    Spec("anomalies_total", "counter", (*_SERIES, "reason"), "Anomalous slots by reason."),
    Spec("episode_open", "gauge", _SERIES, "1 while an episode or a gap of the series is open, else 0."),
    Spec("episode_severity", "gauge", _SERIES, "Greatest score of the open episode so far; absent without one."),
    Spec(
        "episode_maintenance",
        "gauge",
        _SERIES,
        "1 while nobody is told of what is open, because of a maintenance window, else 0; absent with nothing open.",
    ),
    Spec(
        "episode_withheld",
        "gauge",
        _SERIES,
        "1 while nobody is told of what is open, because the stream's budget of alarms went to worse, else 0; absent "
        "with nothing open.",
    ),
    Spec("last_reading_timestamp_seconds", "gauge", _SERIES, "Event time of the last slot with a reading."),
    Spec("silent", "gauge", _SERIES, "1 while a gap is open: the series stopped reporting."),
    Spec("warm_up_ratio", "gauge", _SERIES, "Share of the warm-up's history that is there; 1 once it is complete."),
    Spec(
        "ready_timestamp_seconds", "gauge", _SERIES, "Event time at which the warm-up is expected to end; absent after."
    ),
)

STREAM_METRICS: tuple[Spec, ...] = (
    Spec("readings_accepted_total", "counter", _STREAM, "Readings accepted, late ones included."),
    Spec("readings_rejected_total", "counter", ("stream", "reason"), "Lines and readings rejected, by reason."),
    Spec("readings_late_total", "counter", _STREAM, "Readings that filled an older slot; accepted, never scored."),
    Spec(
        "readings_repeated_total",
        "counter",
        _STREAM,
        "Readings that came again as they were; neither accepted nor rejected.",
    ),
    Spec("readings_revised_total", "counter", _STREAM, "Accepted readings that took the place of another value."),
    Spec(
        "readings_guessed_total",
        "counter",
        ("stream", "quality"),
        "Accepted readings that were estimated or substituted.",
    ),
    Spec("readings_unscored_total", "counter", _STREAM, "Readings whose window has too many gaps to be scored."),
    Spec("gaps_total", "counter", _STREAM, "Gaps ever opened."),
    Spec("meter_resets_total", "counter", _STREAM, "Times a register of a stream of kind counter began anew."),
    Spec("stream_anomalies_total", "counter", ("stream", "reason"), "Anomalous slots over all series there ever were."),
    Spec("episodes_open", "gauge", _STREAM, "Episodes open now."),
    Spec("anomalous_series", "gauge", _STREAM, "Series whose score is above 1 now."),
    Spec("silent_series", "gauge", _STREAM, "Series with an open gap."),
    Spec("series", "gauge", ("stream", "status"), "Series by status: warming, queued (to join the model), ready."),
    Spec("series_limit", "gauge", _STREAM, "Series the stream may hold (max_series)."),
    Spec("series_retired_total", "counter", _STREAM, "Series forgotten after a long silence."),
    Spec("series_not_exported", "gauge", _STREAM, "Series without metrics of their own, beyond metrics.max_series."),
    Spec("series_state_bytes", "gauge", _STREAM, "Bytes of state of one ready series."),
    Spec("stream_warm_up_ratio", "gauge", _STREAM, "Mean share of the warm-up over the series; absent without any."),
    Spec("stream_ready_timestamp_seconds", "gauge", _STREAM, "When the last warm-up is expected to end; absent after."),
    Spec("stream_last_slot_timestamp_seconds", "gauge", _STREAM, "Event time of the greatest slot seen."),
    Spec("interval_seconds", "gauge", _STREAM, "Length of a slot."),
    Spec("false_alarm_budget", "gauge", _STREAM, "False alarms a series may raise in a month of 30.44 days."),
    Spec(
        "alarm_budget", "gauge", _STREAM, "Alarms told in a day at most, of all series; absent without such a budget."
    ),
    Spec(
        "alarms_total",
        "counter",
        ("stream", "outcome"),
        "Alarms of a stream with such a budget: told, or withheld at first; one that is told later is both.",
    ),
    Spec(
        "false_alarm_rate",
        "gauge",
        _STREAM,
        "New episodes per series and month, measured over this month and the three before; true ones count too, "
        "unless an operator labelled them a fault.",
    ),
    Spec("fine_tunes_total", "counter", ("stream", "outcome"), "Trainings by outcome, the first one included."),
    Spec("training_failures_total", "counter", ("stream", "reason"), "Failed trainings by reason."),
    Spec("model_rollbacks_total", "counter", _STREAM, "Promotions taken back because their alarms left the budget."),
    Spec("labels_total", "counter", ("stream", "kind"), "Operators' labels, fault or normal."),
    Spec("drift_detections_total", "counter", _STREAM, "Times the model's error was found to have risen for good."),
    Spec("training_running", "gauge", _STREAM, "1 while a training is under way."),
    Spec(
        "training_awaited_since_timestamp_seconds",
        "gauge",
        _STREAM,
        "When the stream began to wait for a training whose result is due; absent while it waits for none.",
    ),
    Spec(
        "inputs_waiting",
        "gauge",
        _STREAM,
        "Inputs in the journal that are not applied yet, because the stream waits for a training or has waited.",
    ),
    Spec("next_training_timestamp_seconds", "gauge", _STREAM, "Event time at which the next training is due."),
    Spec("training_windows_total", "counter", _STREAM, "Windows ever offered to training."),
    Spec("model_info", "gauge", ("stream", "version", "architecture", "kind", "digest"), "1 for the model in service."),
    Spec("model_loss", "gauge", _STREAM, "Loss of the model in service at the end of its training."),
    Spec("model_promoted_timestamp_seconds", "gauge", _STREAM, "Event time at which the model came into service."),
    Spec("model_trained_until_timestamp_seconds", "gauge", _STREAM, "Event time of the newest slot it was trained on."),
    Spec("scoring_seconds", "histogram", _STREAM, "Time to apply one batch to the engine, scoring included."),
    Spec("training_seconds", "histogram", _STREAM, "Time of one training."),
)

SOURCE_METRICS: tuple[Spec, ...] = (
    Spec("source_up", "gauge", _SOURCE, "1 while the source is open and can be read."),
    Spec(
        "source_rejected_lines_total",
        "counter",
        _SOURCE,
        "Lines of the source that were refused since the start; the log says why.",
    ),
    Spec(
        "source_series", "gauge", _SOURCE, "Series that the source brought in; absent where it may bring in any number."
    ),
    Spec("source_series_limit", "gauge", _SOURCE, "Series that it may bring in; further ones are rejected."),
    Spec(
        "source_readings_passed_over_total",
        "counter",
        _SOURCE,
        "Readings of series that another part (`shard`) watches, since the start; absent where all are watched here.",
    ),
    Spec("source_lag_bytes", "gauge", _SOURCE, "Bytes known to be there and not yet read."),
    Spec(
        "source_position_bytes",
        "gauge",
        _SOURCE,
        "Bytes read of the files that are followed, in whole lines.",
    ),
    Spec("source_lag_messages", "gauge", _SOURCE, "Messages that the brokers of `kafka` have beyond what was fetched."),
    Spec("source_files", "gauge", _SOURCE, "Files followed."),
    Spec(
        "source_files_ignored",
        "gauge",
        _SOURCE,
        "Files that match but are compressed otherwise than by gzip, so are not read.",
    ),
    Spec("source_connections", "gauge", ("source", "state"), "Connections by state: handshake (TLS), in_line, idle."),
    Spec("source_connections_accepted_total", "counter", _SOURCE, "Connections that were let in."),
    Spec(
        "source_refused_total", "counter", ("source", "reason"), "Connections, datagrams or bodies refused, by reason."
    ),
    Spec("source_closed_total", "counter", ("source", "reason"), "Connections that ended, by reason."),
    Spec("source_lines_total", "counter", _SOURCE, "Whole lines received by a listener since the start."),
    Spec("source_uploads_total", "counter", _SOURCE, "Bodies taken by a source that is posted to, repeated ones not."),
    Spec("source_messages_total", "counter", _SOURCE, "Messages taken from a broker, those it sent again not."),
    Spec("source_kernel_drops_total", "counter", _SOURCE, "Datagrams the kernel dropped because nobody read in time."),
    Spec(
        "source_incidents_total",
        "counter",
        ("source", "kind"),
        "Rotations, truncations, partial lines, failed reads and the like.",
    ),
)

SINK_METRICS: tuple[Spec, ...] = (
    Spec("sink_up", "gauge", _SINK, "0 while the sink fails; what it did not take waits."),
    Spec("sink_waiting", "gauge", _SINK, "Revisions of events recorded and not yet looked at for the sink."),
    Spec("sink_delivered_total", "counter", _SINK, "Revisions handed on since the start; repeated ones count again."),
    Spec("sink_failures_total", "counter", _SINK, "Deliveries that failed and were tried again."),
    Spec(
        "sink_left_out_total",
        "counter",
        ("sink", "reason"),
        "Events not handed on: refused by the other side, an empty body, an outbox beyond its limit.",
    ),
    Spec("remote_write_up", "gauge", _SINK, "0 while a store written to fails or refuses."),
    Spec("remote_write_waiting_bytes", "gauge", _SINK, "Size of the requests that wait for a store."),
    Spec("remote_write_samples_total", "counter", _SINK, "Samples that a store has taken since the start."),
    Spec("remote_write_failures_total", "counter", _SINK, "Requests that failed and were sent again."),
    Spec(
        "remote_write_samples_left_out_total",
        "counter",
        ("sink", "reason"),
        "Samples not written: refused by the store, a buffer beyond its limit.",
    ),
)

PROCESS_METRICS: tuple[Spec, ...] = (
    Spec("build_info", "gauge", ("version", "python"), "1; the versions that run."),
    Spec("shard_info", "gauge", ("index", "of"), "1; which part of the series is watched here, 0 of 1 for all."),
    Spec("ready", "gauge", (), "1 once state is loaded and sources are open."),
    Spec("start_timestamp_seconds", "gauge", (), "When the process started."),
    Spec("snapshot_timestamp_seconds", "gauge", (), "When the picture these metrics show was taken."),
    Spec("turns_total", "counter", (), "Turns of the pipeline; they feed the watchdog."),
    Spec("queue_depth", "gauge", (), "Inputs that wait for the engine."),
    Spec("jobs_skipped_total", "counter", ("task",), "Runs of scheduled jobs skipped because the one before hung."),
    Spec("jobs_failed_total", "counter", ("task",), "Runs of scheduled jobs that raised or passed their deadline."),
    Spec("config_last_reload_successful", "gauge", (), "1 unless the newest reload of the configuration was refused."),
    Spec("config_last_reload_success_timestamp_seconds", "gauge", (), "When a configuration was last taken over."),
    Spec("journal_entries_total", "counter", (), "Entries ever written to the journal."),
    Spec("journal_seconds", "histogram", (), "Time to commit to the journal."),
    Spec(
        "checkpoint_timestamp_seconds", "gauge", (), "When the newest checkpoint was written; absent before the first."
    ),
    Spec("checkpoint_size_bytes", "gauge", (), "Size of the newest checkpoint."),
    Spec("checkpoint_failures_total", "counter", (), "Checkpoints that could not be written."),
    Spec("checkpoint_mismatches_total", "counter", (), "Checkpoints of other versions or another type of CPU."),
    Spec("checkpoint_seconds", "histogram", (), "Time to write one checkpoint; its count is that of all attempts."),
    Spec("state_full", "gauge", (), "1 while writing waits because the state directory has no room; nothing is lost."),
    Spec("quarantined_total", "counter", (), "Files of the state directory set aside because they were not sound."),
    Spec("journal_entries_lost_total", "counter", (), "Journal entries found lost or damaged at this start."),
)

METRICS: tuple[Spec, ...] = (*SERIES_METRICS, *STREAM_METRICS, *SOURCE_METRICS, *SINK_METRICS, *PROCESS_METRICS)
BY_NAME = {spec.name: spec for spec in METRICS}


def reference() -> str:
    """The tables of all metrics, in Markdown."""
    groups = {
        "series": SERIES_METRICS,
        "stream": STREAM_METRICS,
        "source": SOURCE_METRICS,
        "sink": SINK_METRICS,
        "process": PROCESS_METRICS,
    }
    parts = []
    for group, specs in groups.items():
        rows = [f"### Per {group}" if group != "process" else "### Process and store", ""]
        rows += ["| metric | type | labels | meaning |", "|---|---|---|---|"]
        rows += [f"| `{s.full_name}` | {s.type} | {', '.join(s.labels)} | {s.meaning} |" for s in specs]
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def documented(page: str) -> str:
    """A page of documentation with the tables written again; raises ValueError where a mark is missing."""
    return generated.documented(page, {"metrics": reference()})


if __name__ == "__main__":
    generated.write_again(sys.argv[1:], documented, reference())
