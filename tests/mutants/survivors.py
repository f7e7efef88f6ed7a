"""Mutants that the tests did not find once; each has its test since."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

ENGINE, TESTS = "daemon/engine", "tests/daemon/engine"

SURVIVORS: tuple[Mutant, ...] = (
    Mutant(
        "adapters/sockets/connection.py",
        "elif cut is not None or self._partial_since is None:",
        "elif self._partial_since is None:",
        "tests/adapters/sockets/test_listener.py -k begins_with_the_end_of_another",
    ),
    Mutant(
        f"{ENGINE}/learning/promotion.py",
        "            self.drift.restart()\n",
        "",
        f"{TESTS}/learning/test_handover.py::test_the_detectors_begin_anew_with_another_network",
    ),
    Mutant(
        f"{ENGINE}/detection/decision.py",
        "measure(r, slot, reasons != 0 and s.alarmed == slot and not hushed[i])",
        "measure(r, slot, reasons != 0 and not hushed[i])",
        f"{TESTS}/machine/test_measured_rate.py",
    ),
    Mutant(
        f"{ENGINE}/kernel/calibration.py",
        "a < ENDS_BELOW * level",
        "a < level",
        f"{TESTS}/kernel/test_calibration.py::test_a_cluster_ends_at_half_the_level",
    ),
    Mutant(
        f"{ENGINE}/kernel/hours.py",
        "return float(max(usual, 0.25 * hours.level))",
        "return float(usual)",
        f"{TESTS}/kernel/test_statistics.py::test_a_usual_error_is_at_least_a_quarter_of_the_level",
    ),
    Mutant(
        f"{ENGINE}/detection/policies.py",
        "-(-alerts.refractory // interval_s)",
        "alerts.refractory // interval_s",
        f"{TESTS}/detection/test_policies.py",
    ),
    Mutant(
        f"{ENGINE}/detection/policies.py",
        "NOVELTY_SHARE, NOVELTY_MOST = 0.5, 0.5",
        "NOVELTY_SHARE, NOVELTY_MOST = 0.25, 0.5",
        f"{TESTS}/detection/test_policies.py",
    ),
    Mutant(
        f"{ENGINE}/detection/novelty.py",
        "PRIOR = 4.0",
        "PRIOR = 8.0",
        f"{TESTS}/detection/test_novelty.py::test_the_first_guess_of_an_excess_is_worth_four_records",
    ),
    Mutant(
        f"{ENGINE}/kernel/tails.py",
        "value > state.value[least]:",
        "value >= state.value[least]:",
        f"{TESTS}/kernel/test_statistics.py::test_the_older_of_equal_values_is_kept",
    ),
    Mutant(
        f"{ENGINE}/table/overdue.py",
        "s.readings >= a.ring.shape[1]:",
        "s.readings > a.ring.shape[1]:",
        f"{TESTS}/machine/test_silence.py::test_a_series_is_watched_after_a_window_of_readings",
    ),
    Mutant(
        f"{ENGINE}/machine/episodes.py",
        'if seen["rarity"] >= event.rarity:',
        'if seen["rarity"] > event.rarity:',
        f"{TESTS}/machine/test_episodes.py::test_of_slots_as_rare_the_newest_is_said",
    ),
    Mutant(
        f"{ENGINE}/learning/judgement.py",
        "slot - self.slot > rule.slots",
        "slot - self.slot >= rule.slots",
        f"{TESTS}/learning/test_judgement.py::test_a_probation_lasts_its_slots_and_ends_after_them",
    ),
    Mutant(
        "daemon/store/journal.py",
        "- _through(database, floor, middle) <= max_bytes:",
        "- _through(database, floor, middle) < max_bytes:",
        "tests/daemon/store/test_journal.py::test_what_is_kept_is_at_most_max_bytes",
    ),
    Mutant(
        "adapters/formats/stamps.py",
        "elif number < 1e14:",
        "elif number < 1e15:",
        "tests/adapters/formats/test_influx.py::test_precision_is_read_off_the_stamp",
    ),
    Mutant(
        "models/gate.py",
        "if error > was * (1 + rule.worse_error):",
        "if error > was:",
        "tests/models/test_gate.py -k little_worse",
    ),
    Mutant(
        "models/gate.py",
        "if np.count_nonzero(found) < LEAST_FAULTS:",
        "if np.count_nonzero(found) <= LEAST_FAULTS:",
        "tests/models/test_gate.py -k few_faults",
    ),
)
