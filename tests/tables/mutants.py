"""Ways to break the program, and the tests that have to catch each of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STORE, RACES, SCHEDULE, WINDOWS, CRASHES, OUTBOX, ELKS_PATH = (
    "tests/store",
    "tests/store/test_races.py",
    "tests/store/test_schedule.py",
    "tests/store/test_send_windows.py",
    "tests/test_crash_points.py",
    "tests/sending",
    "tests/elks",
)
ALERTS = "tests/workflows/test_escalation.py"
BATCHES, PLANNING, PAUSES = (
    "tests/sending/test_batches.py",
    "tests/sending/test_batch_plans.py",
    "tests/sending/test_batch_pauses.py",
)


@dataclass(frozen=True)
class Mutant:
    """One way to break the program."""

    name: str
    file: str
    words: tuple[tuple[str, str], ...]
    """Each passage of the file that is replaced, and its replacement."""

    caught_by: str
    tests: str
    """Which of its tests: an expression, as `pytest -k` takes it."""

    elsewhere: tuple[tuple[str, str, str], ...] = ()
    """The replacements in other files that it needs: file, passage, replacement."""

    def changes(self) -> Iterator[tuple[Path, str, str]]:
        """List all changes, by files within the package."""
        for words, instead in self.words:
            yield Path(self.file), words, instead
        for file, words, instead in self.elsewhere:
            yield Path(file), words, instead


MUTANTS = (
    Mutant(
        "a POST before the claim is committed",
        "store/claims.py",
        (('"state": OrderState.SENDING,', '"state": OrderState.QUEUED,'),),
        CRASHES,
        "one_message_goes_out_whichever and dies",
        elsewhere=(
            (
                "store/queue.py",
                '    orders.c.lease == bindparam("token"),\n    orders.c.state == OrderState.SENDING,\n',
                '    orders.c.lease == bindparam("token"),\n',
            ),
        ),
    ),
    Mutant(
        "no quiet period",
        "store/doubts.py",
        (("read_at < quiet_until:", "read_at < row.changed_at:"),),
        STORE,
        "two_late_readings and sqlite",
    ),
    Mutant(
        "one reading is enough",
        "store/doubts.py",
        (
            ("if row.absent_at is None:", "if row.absent_at is None and not pause:"),
            (
                "elif read_at < row.absent_at + pause:",
                "elif row.absent_at and read_at < row.absent_at:",
            ),
        ),
        STORE,
        "two_late_readings and sqlite",
    ),
    Mutant(
        "a reading that shows a similar message counts as an absence",
        "store/doubts.py",
        (("change(tx, row.id, absent_at=None, due_at=clear_by)", "change(tx, row.id, absent_at=read_at)"),),
        STORE,
        "count_as_an_absence and sqlite",
    ),
    Mutant(
        "no lease check before the first byte",
        "sending/attempt.py",
        (("return not self._deadline.has_passed", "return True"),),
        OUTBOX,
        "wakes_after_the_deadline or was_frozen",
    ),
    Mutant(
        "no lease check before the request body",
        "elks/send_gate.py",
        (("require(self._permission.is_in_time())", "pass"),),
        ELKS_PATH,
        "without_permission",
    ),
    Mutant(
        "a request body that is not aborted",
        "elks/send_gate.py",
        (
            (
                "self._cork is not None and self._socket is not None and not self._permission.is_in_time()",
                "not self._permission.is_in_time()",
            ),
            ("self._hold_back(on=True)", "pass"),
        ),
        ELKS_PATH,
        "frozen_between",
    ),
    Mutant(
        "no lease check when settling",
        "store/queue.py",
        (("orders.c.lease == claim.lease, in_play)", "in_play)"),),
        STORE,
        "lost_its_lease and sqlite",
    ),
    Mutant(
        "a budget that is read and then written",
        "store/db/transactions.py",
        (("work, writes=True, decides=True)", "work, writes=True, decides=False)"),),
        RACES,
        "eight_processes and postgres",
    ),
    Mutant(
        "a writing transaction of SQLite that begins as a reading one",
        "store/db/transactions.py",
        (("work, writes=True, decides=True)", "work, writes=False, decides=True)"),),
        STORE,
        "lock_before_reading",
    ),
    Mutant(
        "an order of a dead process is queued again immediately",
        "store/queue.py",
        (
            (
                "tx, order_id, state=OrderState.IN_DOUBT, status_reason",
                "tx, order_id, state=OrderState.QUEUED, status_reason",
            ),
        ),
        CRASHES,
        "one_message_goes_out_whichever and dies",
    ),
    Mutant(
        "a late receipt does not count",
        "store/queue.py",
        (
            (
                "        return accept_unshared(tx, claim.order_id, receipt)",
                """        found = _find_tried(tx, claim)
        return accept_unshared(tx, claim.order_id, receipt) if found else None""",
            ),
        ),
        STORE,
        "receipt_counts and sqlite",
    ),
    Mutant(
        "one message too many is taken for ours",
        "domain/doubts.py",
        (("if len(same) > len(equals):", "if not same:"),),
        STORE,
        "left_to_a_person and sqlite",
    ),
    Mutant(
        "history that begins after the first attempt",
        "store/doubts.py",
        (
            (
                "select(*times).where(_in_doubt(tx, self._kind))",
                "select(*times).where(_in_doubt(tx, self._kind), orders.c.due_at <= tx.now)",
            ),
        ),
        STORE,
        "begins_after_it and sqlite",
    ),
    Mutant(
        "a repeat that is not noticed",
        "store/prior.py",
        (("repeated = _find_repeated(rows) if dedupe else None", "repeated = None"),),
        STORE,
        "same_text_is and sqlite",
    ),
    Mutant(
        "an approval that works twice",
        "store/orders.py",
        (("if row.state != OrderState.WAITING:", "if row.state == OrderState.EXPIRED:"),),
        STORE,
        "releases_an_order_once and sqlite",
    ),
    Mutant(
        "a scheduled text that is early",
        "store/schedule.py",
        (("orders.c.due_at <= tx.now, orders.c.expires_at >= tx.now", "orders.c.expires_at >= tx.now"),),
        SCHEDULE,
        "before_its_time and sqlite",
    ),
    Mutant(
        "a scheduled text that is late",
        "store/schedule.py",
        (("orders.c.due_at <= tx.now, orders.c.expires_at >= tx.now", "orders.c.due_at <= tx.now"),),
        SCHEDULE,
        "missed_order_expires and sqlite",
    ),
    Mutant(
        "a last check that ignores the time",
        "store/queue.py",
        (("~is_of_ended_alert(), _IS_IN_TIME)", "~is_of_ended_alert())"),),
        SCHEDULE,
        "last_check and sqlite",
    ),
    Mutant(
        "an order that is queued again is early",
        "store/db/changes.py",
        (("max(due_at, row.send_at or due_at)", "due_at"),),
        SCHEDULE,
        "queued_again_after",
    ),
    Mutant(
        "a price that rose is paid",
        "sending/schedule.py",
        (("if price <= due.price:", "if price:"),),
        "tests/sending/test_schedule.py",
        "higher_price or price_rose",
    ),
    Mutant(
        "a budget that counts only earlier texts",
        "store/totals.py",
        (("return exists().where(self.later)", "return literal(0) == 1"),),
        WINDOWS,
        "35_days",
    ),
    Mutant(
        "later texts count only if they cost something",
        "store/known_numbers.py",
        (("for peak in peaks.values() if peak.length == DAY", 'for peak in [peaks["spent"]]'),),
        WINDOWS,
        "naive_sum",
    ),
    Mutant(
        "a look for missed orders that failed is not repeated",
        "store/schedule.py",
        (("may_be_more = True", "may_be_more = False"),),
        "tests/store/test_missed_orders.py",
        "fails and sqlite",
    ),
    Mutant(
        "a period that is a moment too short",
        "store/totals.py",
        (
            (
                "shifted(moment, self.length), Moment",
                "shifted(moment, self.length - timedelta(microseconds=1)), Moment",
            ),
        ),
        WINDOWS,
        "naive_sum",
    ),
    Mutant(
        "setting the clock back frees the budget",
        "store/totals.py",
        (("or_(at <= NOW, state != OrderState.SCHEDULED)", "at <= NOW"),),
        WINDOWS,
        "clock_is_set_back and sqlite",
    ),
    Mutant(
        "a charge that counts from the beginning of the request",
        "store/db/changes.py",
        (
            (
                "(orders.c.state == OrderState.SENDING, LEFT_BY),",
                "(orders.c.state == OrderState.SENDING, orders.c.charged_at),",
            ),
        ),
        "tests/sending/test_daily_budget.py",
        "46elks_accepted_it and sqlite",
    ),
    Mutant(
        "no last check for an opt-out",
        "store/queue.py",
        (("where(_IS_HELD, ~has_opted_out(), ~is_of", "where(_IS_HELD, ~is_of"),),
        STORE,
        "after_an_opt_out_no_holder and sqlite",
    ),
    Mutant(
        "a pace that does not advance",
        "store/claims.py",
        (("self.next += self._pace.gap", "self.next += 0 * self._pace.gap"),),
        RACES,
        "keep_one_pace and sqlite",
    ),
    Mutant(
        "an attempt in doubt dated by a clock that was changed since",
        "store/doubts.py",
        (("    if row.provider_attempted_at:\n", "    if False:\n"),),
        "tests/sending/test_changed_clocks.py",
        "during_a_doubt",
    ),
    Mutant(
        "an attempt dated by what was known of 46elks' clock before ours was changed",
        "store/doubts.py",
        (("max(row.provider_attempted_at - by_difference, timedelta(0))", "timedelta(0)"),),
        "tests/sending/test_changed_clocks.py",
        "between_46elks_answer",
    ),
    Mutant(
        "a clock that may have been set back before 46elks answered",
        "store/doubts.py",
        (("return by_difference, CLOCK_CHANGE", "return by_difference, timedelta(0)"),),
        "tests/sending/test_changed_clocks.py",
        "during_a_doubt",
    ),
    Mutant(
        "a quiet period that a clock set forward ends",
        "store/doubts.py",
        (("return max(by_database, by_provider)", "return by_database"),),
        "tests/sending/test_changed_clocks.py",
        "set_forward_after",
    ),
    Mutant(
        "sent texts that cost nothing",
        "store/db/changes.py",
        (("            (_COST > 0, _COST),\n", "            (_COST > 0, 0),\n"),),
        STORE,
        "budget_counts and sqlite",
    ),
    Mutant(
        "an echo of our own text counts as its sender's opt-in",
        "store/self_caused.py",
        (("    return any(\n", "    return False and any(\n"),),
        "tests/store/test_self_caused.py",
        "may_have_sent_itself",
    ),
    Mutant(
        "parallel calls spread a stranger's text",
        "sending/orders.py",
        (("self.checks.recheck_unasked if is_unasked else self.checks.recheck", "self.checks.recheck"),),
        "tests/mcp_server/test_taint.py",
        "simultaneous_calls",
    ),
    Mutant(
        "another account's orders are sent",
        "store/claims.py",
        (('        o.account_id == bindparam("account"),\n        o.state', "        o.state"),),
        STORE,
        "accounts_do_not_see and sqlite",
    ),
    Mutant(
        "texts that are not erased",
        "store/db/changes.py",
        (('return {} if tx.keeps_texts else {"content": None}', "return {}"),),
        STORE,
        "gone_once_its_order and sqlite",
    ),
    Mutant(
        "texts that are not erased from the file",
        "store/db/engines.py",
        (('"secure_delete=ON"', '"secure_delete=OFF"'),),
        STORE,
        "gone_once_its_order and sqlite or gone_from_every_page",
    ),
    Mutant(
        "a commit that does not wait for the disk",
        "store/db/engines.py",
        (('"synchronous=FULL"', '"synchronous=OFF"'),),
        STORE,
        "durable_writes_and_erased",
    ),
    Mutant(
        "a log that loses data with several processes",
        "store/db/engines.py",
        (("SAFE_WAL = (3, 51, 3)", "SAFE_WAL = (3, 7, 0)"),),
        STORE,
        "durable_writes_and_erased",
    ),
    Mutant(
        "a POST that is retried automatically",
        "elks/transport.py",
        (
            (
                'return await self._request(self._one_shot, "POST", path, data=form, permission=permission)',
                """try:
                return await self._request(self._one_shot, "POST", path, data=form, permission=permission)
            except _ConnectionCut:
                return await self._request(self._one_shot, "POST", path, data=form, permission=permission)""",
            ),
        ),
        CRASHES,
        "without_a_failure and sqlite",
    ),
    Mutant(
        "a batch that starts again and again",
        "store/batches.py",
        (
            (
                "        if row.started_at is not None:\n            return Started",
                "        if False:\n            return Started",
            ),
        ),
        "tests/store/test_batches.py",
        "parallel_starts and sqlite",
    ),
    Mutant(
        "a plan that is not compared with the approved one",
        "store/batch_plans.py",
        (("    if plan.digest != digest:", "    if False:"),),
        BATCHES,
        "other_than_the_approved_one",
    ),
    Mutant(
        "a budget that only the first row counts in",
        "store/batch_placing.py",
        (('for row in rows if row["charge"]]', 'for row in list(rows)[:1] if row["charge"]]'),),
        "tests/store/test_batches.py",
        "whole_sum_is_reserved and sqlite",
    ),
    Mutant(
        "a price that may rise after the approval",
        "sending/prices.py",
        (("now.price > price:", "now.price < price:"),),
        BATCHES,
        "price_that_rose_since_the_plan",
    ),
    Mutant(
        "rows that an earlier batch covers go out again",
        "store/batch_recall.py",
        (("if abs(at - goes_at) < COVERED_WITHIN:", "if False:"),),
        BATCHES,
        "after_a_time_out and sqlite",
    ),
    Mutant(
        "tomorrow's reminder counts as today's",
        "sending/batch_plans.py",
        (("rows = [self._time(row, send_at) for row in filled]", "rows = filled"),),
        PLANNING,
        "two_texts and sqlite",
    ),
    Mutant(
        "rows of a batch that do not count for each other",
        "store/batch_placing.py",
        (("counted = recall.counting(to_them[draft.to.e164])", "counted = recall"),),
        PLANNING,
        "texts_since_the_plan and sqlite",
    ),
    Mutant(
        "a batch before a single text",
        "store/claims.py",
        (("order_by(o.priority, o.due_at)", "order_by(o.due_at)"),),
        BATCHES,
        "overtakes_a_running_batch and sqlite",
    ),
    Mutant(
        "a row that comes back in spite of a pause",
        "store/db/changes.py",
        (('return {"state": OrderState.PAUSED, "charge": 0} if batch.paused_at else {}', "return {}"),),
        PAUSES,
        "46elks_defers and paused and sqlite",
    ),
    Mutant(
        "a row that comes back in spite of a cancellation",
        "store/db/changes.py",
        (("    if batch.cancelled_at:", "    if False:"),),
        PAUSES,
        "46elks_defers and cancelled and sqlite",
    ),
    Mutant(
        "a cap that ends a batch row by row",
        "store/claims.py",
        (('if why_not and row.batch_id and "daily_budget" in why_not.guards:', "if why_not and False:"),),
        BATCHES,
        "cap_that_was_lowered and sqlite",
    ),
    Mutant(
        "a batch that nobody sends expires",
        "store/claims.py",
        (("        pause_batch(tx, row.batch_id, NOT_SENT)\n    for row", "        pass\n    for row"),),
        PAUSES,
        "nobody_sends_for_an_hour and sqlite",
    ),
    Mutant(
        "the last process that leaves its batch queued",
        "store/heartbeats.py",
        (("        if tx.first(alive) is None:", "        if False:"),),
        "tests/sending/test_batch_restarts.py",
        "last_process_that_could_send and sqlite",
    ),
    Mutant(
        "a batch that goes on although its caller paused it",
        "store/batch_pauses.py",
        (("or_(c.paused_at.is_(None), c.pause_reason == SERVER_ENDED)", "c.paused_at.is_(None)"),),
        "tests/sending/test_batch_restarts.py",
        "paused_after_its_server_ended and sqlite",
    ),
    Mutant(
        "claims of one transaction that do not count for each other",
        "store/claims.py",
        (("        claimed += row.price\n", ""),),
        STORE,
        "does_not_delay_those_behind_it and sqlite",
    ),
    Mutant(
        "a batch at night",
        "store/claims.py",
        (("if not pace.at_night and wait_for_morning(tx, row):", "if False:"),),
        PAUSES,
        "still_queued_at_night and sqlite",
    ),
    Mutant(
        "texts that stay in the plan",
        "store/batches.py",
        (("write_plan(plan.without_texts())", "write_plan(plan)"),),
        "tests/store/test_batches.py",
        "leave_the_plan",
    ),
    Mutant(
        "an MMS that is found without its picture",
        "domain/mms_doubts.py",
        (("if has_text and has_picture and", "if has_text and"),),
        "tests/domain/test_mms_doubts.py",
        "the_same_only_if",
    ),
    Mutant(
        "a list of texts that does not wait for the list of MMS",
        "elks/history_pages.py",
        (("(each.created_at or _ALWAYS) >= bound", "True"),),
        "tests/elks/test_merged_history.py",
        "walking_by_pages",
    ),
    Mutant(
        "a picture of any size is decoded",
        "images/image_headers.py",
        (("if header.width * header.height > MOST_PIXELS:", "if header.width * header.height > 10**15:"),),
        "tests/images/test_shrinking.py",
        "all_memory",
    ),
    Mutant(
        "a JPEG with as many scans as it likes",
        "images/image_headers.py",
        (("scans += marker == _SCAN", "scans = 1"),),
        "tests/images/test_shrinking.py",
        "scans",
    ),
    Mutant(
        "a picture that keeps what its file says beside the pixels",
        "images/shrinking.py",
        (
            (
                """    drawn = pillow.Image.new("RGB", layer.size, "white")
    drawn.paste(layer, mask=layer.getchannel("A") if has_alpha else None)
""",
                """    drawn = layer.convert("RGB")
""",
            ),
        ),
        "tests/images/test_shrinking.py",
        "nothing_hidden",
    ),
    Mutant(
        "a text in doubt that goes out again because a subaccount does not see it",
        "store/doubts.py",
        (("(is_anothers or row.is_hidden)", "row.is_hidden"),),
        "tests/store/test_subaccounts.py",
        "absence_from_history and sqlite",
    ),
    Mutant(
        "a hidden text in doubt that goes out again because history does not have it",
        "store/doubts.py",
        (("(is_anothers or row.is_hidden)", "is_anothers"),),
        "tests/web/test_hidden_texts.py",
        "never_sent_twice",
    ),
    Mutant(
        "a text from another number acknowledges an alert",
        "store/acknowledgements.py",
        (
            (
                "alert_attempts.c.recipient_hash == number_hash,\n            _is_before",
                "_is_before",
            ),
        ),
        ALERTS,
        "only_a_number_that_the_alert_reached",
    ),
    Mutant(
        "an answer is ignored because this machine's clock is ahead",
        "store/acknowledgements.py",
        (("(is_likely, accepted_at <= received_at", "(is_likely, alert_attempts.c.at <= received_at"),),
        "tests/workflows/test_clocks_of_alerts.py",
        "within_a_minute and sqlite",
    ),
    Mutant(
        "a code can be guessed without end",
        "store/acknowledgements.py",
        (("if row.wrong_codes < MOST_WRONG_CODES:", "if row:"),),
        ALERTS,
        "five_wrong_codes",
    ),
    Mutant(
        "four wrong codes are too many",
        "domain/acknowledgements.py",
        (("MOST_WRONG_CODES = 5", "MOST_WRONG_CODES = 4"),),
        ALERTS,
        "four_wrong_codes",
    ),
    Mutant(
        "a code after other words acknowledges an alert",
        "domain/acknowledgements.py",
        (("_CODE.match(words)", "_CODE.search(words)"),),
        "tests/domain/test_acknowledgements.py",
        "does_not_acknowledge",
    ),
    Mutant(
        "a step of an alert is skipped",
        "store/alert_runs.py",
        (('moved = {"position": position + 1', 'moved = {"position": position + 2'),),
        ALERTS,
        "goes_on_to_the_next_person and sqlite",
    ),
    Mutant(
        "a step of an alert is done twice",
        "store/alert_runs.py",
        (
            (
                "row.state == AlertState.RUNNING and row.position == position",
                "row.state == AlertState.RUNNING",
            ),
        ),
        "tests/workflows/test_alerts_stored.py",
        "placed_once_whoever_asks and sqlite",
    ),
    Mutant(
        "an acknowledged alert goes on",
        "store/alert_runs.py",
        (("row.state == AlertState.RUNNING and row.position == position", "row.position == position"),),
        "tests/workflows/test_alerts_stored.py",
        "no_step_after_an_acknowledgement and sqlite",
    ),
    Mutant(
        "a text leaves after its alert was acknowledged",
        "store/queue.py",
        (("~has_opted_out(), ~is_of_ended_alert(), _IS_IN_TIME", "~has_opted_out(), _IS_IN_TIME"),),
        "tests/workflows/test_alerts_stored.py",
        "claimed_before_the_end and sqlite",
    ),
    Mutant(
        "many alerts flood one person",
        "workflows/escalation.py",
        (("checks.recheck_step", "checks.recheck_last"),),
        "tests/workflows/test_velocity_of_alerts.py",
        "begin_together and sqlite",
    ),
    Mutant(
        "an alert beyond its cost cap",
        "store/alert_runs.py",
        (("_OVER_CAP if person.price.units > left", "_OVER_CAP if person.price.units > left + 10**9"),),
        ALERTS,
        "costs_at_most_its_cap",
    ),
    Mutant(
        "an alert beyond its time cap",
        "domain/escalation.py",
        (("if now >= progress.ends_at:", "if now > progress.ends_at:"),),
        "tests/domain/test_escalation.py",
        "time_cap_ends",
    ),
    Mutant(
        "a late acknowledgement changes the end of an alert",
        "store/alert_ending.py",
        (
            ("    if row.state not in OPEN_STATES:\n        return False\n", ""),
            ("    if row.state == AlertState.RUNNING:\n        done", "    if row:\n        done"),
        ),
        ALERTS,
        "late_acknowledgement_is_recorded",
    ),
    Mutant(
        "a digit that another process received is lost",
        "workflows/escalation.py",
        (("for late in await store.alert_runs.list_late_digits():", "for late in []:"),),
        "tests/workflows/test_late_digits.py",
        "that_carries_alerts_on_records and sqlite",
    ),
    Mutant(
        "a digit is lost because no server ran for an hour after the time cap",
        "store/alert_ending.py",
        (("if row.state == AlertState.RUNNING and (order_id :=", "if not row and (order_id :="),),
        "tests/workflows/test_alerts_left_alone.py",
        "digit_stored_in_time and sqlite",
    ),
    Mutant(
        "an alert that no server carries on keeps its text",
        "store/alert_ending.py",
        (("_LEFT_AFTER = timedelta(hours=1)", "_LEFT_AFTER = timedelta(hours=9)"),),
        "tests/workflows/test_alerts_left_alone.py",
        "no_server_carries_on and sqlite",
    ),
    Mutant(
        "the audio of an alert goes with its first call",
        "store/audio_expiry.py",
        ((" or _has_open_alert(tx, spoken.audio):", ":"),),
        "tests/workflows/test_audio_of_alerts.py",
        "stored_for_hours and sqlite",
    ),
    Mutant(
        "the time cap that a person approves is rounded",
        "domain/alert_questions.py",
        (("{plan.most} and {format_exactly(plan.time_cap)}.", "{plan.most} and {plan.time_cap}."),),
        "tests/domain/test_alert_questions.py",
        "person_approves_are_exact",
    ),
)
