# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which cron expressions can be said where there is one backup a day, and why the others cannot."""

from __future__ import annotations

import pytest
from ansible_collections.restorable.backups.plugins.module_utils._errors import OptionError
from ansible_collections.restorable.backups.plugins.module_utils._providers._weekly import EVERY_DAY, Week, week_of


@pytest.mark.parametrize(
    "frequency, week",
    [
        ("30 4 * * *", Week(4, 30, EVERY_DAY)),
        ("0 0 * * *", Week(0, 0, EVERY_DAY)),
        ("59 23 * * *", Week(23, 59, EVERY_DAY)),
        ("  05  04 *  * * ", Week(4, 5, EVERY_DAY)),
        ("30 4 * * 0", Week(4, 30, 0)),
        ("30 4 * * 7", Week(4, 30, 0)),
        ("30 4 * * 6", Week(4, 30, 6)),
        ("30 4 * * sun", Week(4, 30, 0)),
        ("30 4 * * WED", Week(4, 30, 3)),
        ("30 4 * * Sat", Week(4, 30, 6)),
    ],
)
def test_daily_and_weekly(frequency, week):
    assert week_of(frequency) == week


@pytest.mark.parametrize("day", range(8))
def test_a_daily_backup_may_be_a_full_one_on_one_day_only(day):
    assert week_of("30 4 * * *", day) == Week(4, 30, day)


def test_a_weekday_may_be_said_twice_but_not_in_two_ways():
    assert week_of("30 4 * * WED", 3) == Week(4, 30, 3)
    for other in (0, EVERY_DAY):
        with pytest.raises(OptionError, match="^full_backup_day: .*leave one of them out"):
            week_of("30 4 * * WED", other)


@pytest.mark.parametrize("frequency", ["30 4 * * *", "30 4 * * 3", "05 04 * * *"])
def test_what_is_read_back_is_what_runs_every_day(frequency):
    week = week_of(frequency)
    assert week_of(week.frequency, week.full_day) == week


@pytest.mark.parametrize(
    "frequency, reason",
    [
        ("* 4 * * *", "minute '[*]' means several times a day"),
        ("*/15 4 * * *", "minute '[*]/15' means several times"),
        ("0,30 4 * * *", "minute '0,30' means several times"),
        ("0-5 4 * * *", "minute '0-5' means several times"),
        ("0 * * * *", "hour '[*]' means several times"),
        ("0 */6 * * *", "hour '[*]/6' means several times"),
        ("0 4,16 * * *", "hour '4,16' means several times"),
        ("0 9-17 * * *", "hour '9-17' means several times"),
        ("0 4 1 * *", "day-of-month '1' cannot be said"),
        ("0 4 */2 * *", "day-of-month '[*]/2' cannot be said"),
        ("0 4 * 1 *", "month '1' cannot be said"),
        ("0 4 * JAN *", "month 'JAN' cannot be said"),
        ("0 4 * * 1-5", "day-of-week '1-5' means several days"),
        ("0 4 * * MON-FRI", "day-of-week 'MON-FRI' means several days"),
        ("0 4 * * 0,3", "day-of-week '0,3' means several days"),
        ("0 4 * * */2", "day-of-week '[*]/2' means several days"),
    ],
)
def test_what_cannot_be_said_is_refused_with_the_reason(frequency, reason):
    with pytest.raises(OptionError, match="^frequency: .*%s.*M H [*] [*] [*]" % reason):
        week_of(frequency)


@pytest.mark.parametrize(
    "frequency", ["", "daily", "@daily", "61 4 * * *", "0 24 * * *", "0 4 * * 8", "0 4 * * L", "0 4 * *"]
)
def test_what_is_no_cron_expression_is_refused_too(frequency):
    with pytest.raises(OptionError, match="^frequency: "):
        week_of(frequency)
