"""Mutants of what is around the store: adapters, intake, runtime, service, web, and a few of the engine."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

EDGES: tuple[Mutant, ...] = (
    Mutant(
        "daemon/runtime/durable.py",
        "if seq > self._said:",
        "if seq >= self._said:",
        "tests/daemon/store/test_state_versions.py",
    ),
    Mutant(
        "daemon/runtime/durable.py",
        "            self.settle()\n            promotions = configured(",
        "            promotions = configured(",
        "tests/daemon/runtime/test_backlog.py -k first_model",
    ),
    Mutant(
        "daemon/runtime/durable.py", "            behind.journaled(item)\n", "", "tests/daemon/runtime/test_backlog.py"
    ),
    Mutant(
        "daemon/runtime/durable.py",
        "after, behind.through = behind.through, self.seq",
        "after, behind.through = behind.through + 1, self.seq",
        "tests/daemon/runtime/test_backlog.py",
    ),
    Mutant(
        "daemon/runtime/backlog.py",
        "        self.ahead_bytes -= bytes_of(work.item)\n",
        "",
        "tests/daemon/runtime/test_backlog.py",
    ),
    Mutant(
        "daemon/runtime/backlog.py",
        "if wanted and (self.waits > 1 or self.awaits is None):",
        "if wanted and self.awaits is None:",
        "tests/daemon/runtime/test_backlog.py",
    ),
    Mutant(
        "daemon/runtime/recovery.py",
        "    store.set_said_through(store.last_seq)\n",
        "",
        "tests/daemon/store/test_state_versions.py",
    ),
    Mutant(
        "daemon/runtime/recorded_trainer.py",
        "if isinstance(outcome, TrainingFailed) and self._interrupted.is_set():",
        "if False:",
        "tests/daemon/service/test_waiting_stream.py tests/daemon/runtime",
    ),
    Mutant(
        "daemon/service/delivery.py",
        "self.delivered = (waiting.rows[error.done - 1], committed)",
        "self.delivered = (waiting.through, committed)",
        "tests/daemon/service/test_delivery.py tests/daemon/service/test_outbox.py",
    ),
    Mutant(
        "daemon/service/delivery.py",
        "self._store.set_sink_position(name, *courier.delivered)  # a crash",
        "pass  # a crash",
        "tests/daemon/service/test_delivery.py",
    ),
    Mutant(
        "daemon/service/outbox.py",
        "reader.last_event_row - after - self.most)",
        "reader.last_event_row - after - self.most - 1)",
        "tests/daemon/service/test_outbox.py",
    ),
    Mutant(
        "daemon/service/outbox.py", "if each.revision <= event.revision)", ")", "tests/daemon/service/test_outbox.py"
    ),
    Mutant(
        "daemon/service/outbox.py",
        "if (event.id, event.revision) in self.there:",
        "if False:",
        "tests/daemon/service/test_delivery.py tests/daemon/service/test_outbox.py",
    ),
    Mutant(
        "daemon/service/jobs.py", "            self._posted.discard(job)\n", "", "tests/daemon/service/test_jobs.py"
    ),
    Mutant("daemon/service/jobs.py", "if job not in self._posted:", "if True:", "tests/daemon/service/test_jobs.py"),
    Mutant(
        "adapters/sinks/json_lines_file.py",
        "                os.ftruncate(self._fd, self._committed)\n            raise",
        "                pass\n            raise",
        "tests/adapters/sinks/test_sinks.py",
    ),
    Mutant(
        "adapters/sinks/json_lines_file.py",
        "list(takewhile(_is_json, lines))",
        "lines",
        "tests/adapters/sinks/test_sinks.py",
    ),
    Mutant(
        "adapters/sinks/json_lines_file.py",
        "            self._sync_name()\n",
        "            pass\n",
        "tests/adapters/sinks/test_sinks.py",
    ),
    Mutant(
        "adapters/sinks/json_lines_file.py",
        "            if self._regular():\n                os.fsync(self._fd)\n",
        "",
        "tests/adapters/sinks/test_sinks.py",
    ),
    Mutant(
        "adapters/sockets/connection.py",
        'lines_before + cut.data.count(b"\\n", 0, known)',
        "lines_before",
        "tests/adapters/sockets/test_listener.py -k 13",
    ),
    Mutant(
        "adapters/sockets/connection.py",
        "if not self._cutter.ready and self.ended is None:",
        "if self.ended is None:",
        "tests/adapters/sockets/test_listener.py",
    ),
    Mutant(
        "adapters/sockets/listener.py",
        "return len(self._connections) < 2 * self._seats.most",
        "return True",
        "tests/adapters/sockets/test_listener.py",
    ),
    Mutant(
        "adapters/sockets/listener.py",
        "        self._forgotten += positions\n",
        "",
        "tests/adapters/sockets/test_listener.py tests/conformance/test_sources.py",
    ),
    Mutant(
        "adapters/formats/stamps.py",
        "if number < 1e11:",
        "if number < 1e10:",
        "tests/adapters/formats/test_influx.py tests/adapters/formats/test_formats.py",
    ),
    Mutant(
        "adapters/formats/stamps.py",
        "(1000 if number < 1e17 else 1_000_000)",
        "(1000 if number < 1e18 else 1_000_000)",
        "tests/adapters/formats/test_influx.py::test_precision_is_read_off_the_stamp",
    ),
    Mutant(
        "adapters/formats/influx.py",
        "if len(pair) != 2 or not all(pair) or pair[0] in tags:",
        "if len(pair) != 2 or not all(pair):",
        "tests/adapters/formats/test_influx.py",
    ),
    Mutant(
        "daemon/intake/quotas.py",
        "room = max(0, limit - owned)",
        "room = max(0, limit - owned + 1)",
        "tests/daemon/intake/test_quotas.py",
    ),
    Mutant(
        "daemon/intake/quotas.py",
        "if census.settled and not under_way:",
        "if not under_way:",
        "tests/daemon/intake/test_quotas.py",
    ),
    Mutant(
        "daemon/intake/deliveries.py",
        "if not over and self._monotonic() - self._since < self.settle_s:",
        "if not over and self._monotonic() - self._since <= self.settle_s:",
        "tests/daemon/intake/test_ends_of_deliveries.py tests/daemon/intake/test_intake.py",
    ),
    Mutant(
        "daemon/intake/deliveries.py",
        "return [min(waiting, key=lambda each: (each.first, each.place)).place]",
        "return [waiting[0].place]",
        "tests/daemon/intake/test_ends_of_deliveries.py tests/daemon/intake/test_intake.py",
    ),
    Mutant(
        "daemon/intake/health.py",
        "min(max(2 * self._pause_s, first), last)",
        "max(2 * self._pause_s, first)",
        "tests/daemon/intake/test_boundary.py",
    ),
    Mutant(
        "daemon/web/guard.py",
        'if name == "localhost" or name in names:',
        'if name.startswith("localhost") or name in names:',
        "tests/daemon/web/test_guard.py",
    ),
    Mutant(
        "daemon/web/guard.py",
        "if request.method not in _READING and _is_foreign(request):",
        "if _is_foreign(request):",
        "tests/daemon/web/test_guard.py",
    ),
    Mutant(
        "daemon/web/crowd.py",
        "if len(strangers) > STRANGERS:",
        "if len(strangers) > STRANGERS + 1:",
        "tests/daemon/web/test_crowd.py",
    ),
    Mutant(
        "daemon/web/crowd.py",
        "going = newest if least.rank >= Rank.CHECKED else least",
        "going = newest if least.rank > Rank.CHECKED else least",
        "tests/daemon/web/test_crowd.py",
    ),
    Mutant("daemon/web/password_checks.py", "if check.failures == most])", "])", "tests/daemon/web/test_crowd.py"),
    Mutant(
        "daemon/web/password_checks.py",
        "str(ipaddress.ip_network((known, 64), strict=False))",
        "address",
        "tests/daemon/web/test_crowd.py",
    ),
    Mutant(
        "daemon/trainer/trainer.py",
        "if job.begun.is_set() or self._closing.is_set() or len(self._lanes) >= WORKERS:",
        "if job.begun.is_set() or self._closing.is_set():",
        "tests/daemon/trainer/test_trainer.py",
    ),
    Mutant(
        "daemon/engine/detection/policies.py",
        "max(math.log(width / alerts.false_alarms_per_month), 0.0)",
        "math.log(width / alerts.false_alarms_per_month)",
        "tests/daemon/engine/detection/test_policies.py",
    ),
    Mutant(
        "daemon/engine/detection/policies.py",
        "(novelty_share(alerts) if alerts.novelty else 0.0)",
        "novelty_share(alerts)",
        "tests/daemon/engine/detection/test_policies.py",
    ),
    Mutant(
        "daemon/engine/detection/policies.py",
        "novelty_share(alerts) / width",
        "novelty_share(alerts)",
        "tests/daemon/engine/detection/test_policies.py",
    ),
    Mutant(
        "daemon/engine/machine/engine.py",
        'if effect == "state"]',
        'if effect == "never"]',
        "tests/daemon/engine/machine/test_configured.py",
    ),
    Mutant(
        "daemon/engine/machine/engine.py",
        'if key != "sources"}',
        "}",
        "tests/daemon/engine/machine/test_configured.py tests/daemon/service/test_reload.py",
    ),
    Mutant(
        "daemon/engine/learning/promotion.py",
        "        self.probation = None\n        self._serve(bundle",
        "        self._serve(bundle",
        "tests/daemon/engine/learning/test_rollback.py",
    ),
    Mutant(
        "daemon/engine/learning/promotion.py",
        "        if request.parent is None:\n            self.has_seen(request.trained_to)\n",
        "",
        "tests/daemon/engine/learning/test_trainings.py",
    ),
    Mutant(
        "daemon/engine/learning/judgement.py",
        "or len(sample.x) < gate.LEAST_WINDOWS:",
        "or len(sample.x) < 0:",
        "tests/daemon/engine/learning/test_rollback.py",
    ),
    Mutant(
        "daemon/engine/machine/episodes.py",
        "and event.value != value:",
        "and True:",
        "tests/daemon/engine/machine/test_repeats.py",
    ),
    Mutant("models/gate.py", "if count < LEAST_WINDOWS:", "if count <= LEAST_WINDOWS:", "tests/models/test_gate.py"),
    Mutant(
        "models/gate.py",
        "drawn = splitmix64(stretch // HELD_BACK,",
        "drawn = splitmix64(stretch,",
        "tests/models/test_gate.py -k held_back",
    ),
    Mutant(
        "models/gate.py",
        "if found < before - rule.worse_detection:\n        text = f\"it tells the stream's own",
        "if found < before:\n        text = f\"it tells the stream's own",
        "tests/models/test_gate.py -k little_worse",
    ),
)
