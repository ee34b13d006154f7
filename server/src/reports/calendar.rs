//! Days and times of a place, as people and ISO 20022 write them.

use std::{fmt, str::FromStr};

use time::{Date, Month, OffsetDateTime, UtcOffset};

use crate::clock::Timestamp;

/// Julian day of the first day of 1970.
const EPOCH_JULIAN: i32 = 2_440_588;

/// A shop's distance from UTC, in minutes; Korea's is 540. A shop whose clocks change gives the one of that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(UtcOffset);

impl Zone {
    /// UTC itself.
    pub const UTC: Self = Self(UtcOffset::UTC);

    /// So many minutes east of UTC; `None` unless within 18 hours.
    #[must_use]
    pub fn east(minutes: i32) -> Option<Self> {
        const MINUTES_MAX: i32 = 18 * 60;
        let minutes = (-MINUTES_MAX..=MINUTES_MAX)
            .contains(&minutes)
            .then_some(minutes)?;
        let seconds = minutes.checked_mul(60)?;
        UtcOffset::from_whole_seconds(seconds).ok().map(Self)
    }

    fn local(self, time: Timestamp) -> OffsetDateTime {
        const LAST_SECOND: i64 = 253_402_214_400; // the last day of the year 9999, with room for any zone
        let seconds = i64::try_from(time.micros() / 1_000_000).unwrap_or(LAST_SECOND);
        OffsetDateTime::from_unix_timestamp(seconds.min(LAST_SECOND))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
            .to_offset(self.0)
    }

    /// The day of a moment there.
    #[must_use]
    pub fn day(self, time: Timestamp) -> Day {
        Day(self.local(time).date())
    }

    /// `2026-11-24 18:05:33`.
    #[must_use]
    pub fn text(self, time: Timestamp) -> String {
        let local = self.local(time);
        let (hour, minute, second) = local.to_hms();
        format!("{} {hour:02}:{minute:02}:{second:02}", Day(local.date()))
    }

    /// `2026-11-24T18:05:33+09:00`, as ISO 8601 and XML Schema's `dateTime` have it.
    #[must_use]
    pub fn iso(self, time: Timestamp) -> String {
        let local = self.local(time);
        let (hour, minute, second) = local.to_hms();
        let (east_hours, east_minutes, _) = self.0.as_hms();
        let sign = if self.0.is_negative() { '-' } else { '+' };
        format!(
            "{}T{hour:02}:{minute:02}:{second:02}{sign}{:02}:{:02}",
            Day(local.date()),
            east_hours.unsigned_abs(),
            east_minutes.unsigned_abs()
        )
    }
}

/// A calendar day, of the years 1 to 9999; `2026-11-24`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(Date);

impl Day {
    /// Days since the first day of 1970.
    #[must_use]
    pub fn since_epoch(self) -> i32 {
        self.0.to_julian_day().saturating_sub(EPOCH_JULIAN)
    }

    /// So many days after the first day of 1970; `None` beyond the year 9999.
    #[must_use]
    pub fn from_epoch(days: i32) -> Option<Self> {
        let date = Date::from_julian_day(days.checked_add(EPOCH_JULIAN)?).ok()?;
        (1..=9999).contains(&date.year()).then_some(Self(date))
    }

    /// Whole days from an earlier day to this one; negative when that one is later.
    #[must_use]
    pub fn days_after(self, earlier: Self) -> i32 {
        self.since_epoch().saturating_sub(earlier.since_epoch())
    }
}

/// Text that is no day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a day as 2026-11-24")]
pub struct DayError;

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let mut parts = text.split('-');
        let [year, month, day] = [4, 2, 2].map(|width| number(parts.next(), width));
        let date = || {
            let month = Month::try_from(u8::try_from(month?).ok()?).ok()?;
            let year = i32::from(year.filter(|year| *year > 0)?);
            Date::from_calendar_date(year, month, u8::try_from(day?).ok()?).ok()
        };
        match (date(), parts.next()) {
            (Some(date), None) => Ok(Self(date)),
            _ => Err(DayError),
        }
    }
}

fn number(text: Option<&str>, width: usize) -> Option<u16> {
    let text = text?;
    let plain = text.len() == width && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.0.to_calendar_date();
        write!(f, "{year:04}-{:02}-{day:02}", u8::from(month))
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_moment_is_written_in_the_shop_s_own_time() {
        let time = Timestamp::from_micros(1_795_511_133_000_000);
        let seoul = Zone::east(540).unwrap();
        assert_eq!(Zone::UTC.text(time), "2026-11-24 09:05:33");
        assert_eq!(seoul.text(time), "2026-11-24 18:05:33");
        assert_eq!(seoul.iso(time), "2026-11-24T18:05:33+09:00");
        let west = Zone::east(-570).unwrap();
        assert_eq!(west.iso(time), "2026-11-23T23:35:33-09:30");
        assert_eq!(west.day(time).to_string(), "2026-11-23");
        assert_eq!(Zone::east(18 * 60 + 1), None);
    }

    #[test]
    fn moments_beyond_the_calendar_are_its_last_day() {
        let last = Timestamp::from_micros(u64::MAX);
        assert_eq!(Zone::UTC.day(last).to_string(), "9999-12-31");
        assert!(Zone::east(1080).unwrap().text(last).starts_with("9999-"));
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in [
            "",
            "2026",
            "2026-2-1",
            "2026-02-29",
            "2026-13-01",
            "0000-01-01",
            "+026-01-01",
            "2026-01-01Z",
            "2026-01-01-",
            "2026-01-0１",
        ] {
            assert_eq!(text.parse::<Day>(), Err(DayError), "{text}");
        }
        assert!("2024-02-29".parse::<Day>().is_ok());
    }

    proptest! {
        #[test]
        fn days_read_back_as_written(days in -719_162_i32..2_932_896) {
            let day = Day::from_epoch(days).unwrap();
            prop_assert_eq!(day.since_epoch(), days);
            prop_assert_eq!(day.to_string().parse(), Ok(day));
        }
    }
}
