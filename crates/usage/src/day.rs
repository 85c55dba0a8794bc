//! Days, and the periods that budgets run for.

use std::{fmt, str::FromStr};

use breezeway_core::{Period, UnixTime};

const DAY_SECONDS: i64 = 86_400;

/// A day of the calendar in UTC, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

impl Day {
    /// The day that is `number` days after 1970-01-01.
    pub const fn from_number(number: i32) -> Self {
        Self(number)
    }

    /// How many days after 1970-01-01 it is.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The day of a time.
    pub fn of(time: UnixTime) -> Self {
        let days = time.seconds().div_euclid(DAY_SECONDS);
        Self(i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX }))
    }

    /// Its first second.
    pub const fn start(self) -> UnixTime {
        UnixTime::from_seconds(self.0 as i64 * DAY_SECONDS)
    }

    /// The day so many days before.
    pub(crate) fn earlier(self, days: u32) -> Self {
        Self(self.0.saturating_sub_unsigned(days))
    }

    /// The first day of the period it is in.
    pub(crate) fn period_start(self, period: Period) -> Self {
        match period {
            Period::Day => self,
            Period::Month => Self(self.0.saturating_sub(self.civil().2 - 1)),
        }
    }

    /// The first day after the period it is in.
    pub(crate) fn period_end(self, period: Period) -> Self {
        match period {
            Period::Day => Self(self.0.saturating_add(1)),
            // No month has more than 31 days, and none fewer than 28.
            Period::Month => Self(self.period_start(period).0.saturating_add(31)).period_start(period),
        }
    }

    /// Year, month and day of the month, from "chrono-Compatible Low-Level Date Algorithms" by
    /// Howard Hinnant, `civil_from_days`: the year is taken to begin in March, so that a leap day
    /// is its last one, and 400 years are an era of 146,097 days.
    fn civil(self) -> (i64, i32, i32) {
        let days = i64::from(self.0) + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        // Both are below 32.
        (year_of_era + era * 400 + i64::from(month <= 2), month as i32, day as i32)
    }

    /// The other way round: `days_from_civil` of the same paper.
    fn from_civil(year: i64, month: i64, day: i64) -> Option<Self> {
        let year = year - i64::from(month <= 2);
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let from_march = (month + 9) % 12;
        let of_year = (153 * from_march + 2) / 5 + day - 1;
        let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
        i32::try_from(days).ok().map(Self)
    }
}

/// As `2026-11-24`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// A text that is no day.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no day; write one like `2026-11-24`")]
pub struct InvalidDay(String);

impl FromStr for Day {
    type Err = InvalidDay;

    fn from_str(text: &str) -> Result<Self, InvalidDay> {
        parse(text)
            .filter(|day| day.to_string() == text)
            .ok_or_else(|| InvalidDay(text.chars().take(40).collect()))
    }
}

fn parse(text: &str) -> Option<Day> {
    let mut parts = text.splitn(3, '-').map(str::parse);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let possible = (0..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    possible.then(|| Day::from_civil(year, month, day)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn days_read_back_as_written() {
        for (number, text) in
            [(0, "1970-01-01"), (-1, "1969-12-31"), (20_782, "2026-11-25"), (19_782, "2024-02-29")]
        {
            assert_eq!((Day(number).to_string().as_str(), day(text)), (text, Day(number)));
        }
        assert!((-20_000..200_000).all(|number| day(&Day(number).to_string()) == Day(number)));
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in
            ["", "2026", "2026-13-01", "2026-02-29", "2026-2-9", "+2026-02-09", "2026-02-09 ", "x-y-z"]
        {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_month_ends_where_the_next_begins() {
        for (of, start, end) in [
            ("2024-02-29", "2024-02-01", "2024-03-01"),
            ("2026-12-31", "2026-12-01", "2027-01-01"),
            ("2026-01-01", "2026-01-01", "2026-02-01"),
        ] {
            assert_eq!(day(of).period_start(Period::Month), day(start));
            assert_eq!(day(of).period_end(Period::Month), day(end));
        }
        assert_eq!(day("2026-12-31").period_end(Period::Day), day("2027-01-01"));
    }

    #[test]
    fn a_day_has_its_first_second_and_not_the_next_days() {
        let start = day("2026-11-24").start();

        assert_eq!(Day::of(start), day("2026-11-24"));
        assert_eq!(Day::of(UnixTime::from_seconds(start.seconds() - 1)), day("2026-11-23"));
        assert_eq!(Day::of(UnixTime::from_seconds(i64::MAX)), Day(i32::MAX));
    }
}
