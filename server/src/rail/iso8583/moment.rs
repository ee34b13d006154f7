//! Times as messages write them.

const MICROS: u64 = 1_000_000;
const DAY_S: u64 = 86_400;

/// A moment of the Gregorian calendar, UTC or shifted from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    year: u64,
    month: u64,
    day: u64,
    /// Of the year, from 1.
    yearday: u64,
    second: u64,
}

impl Moment {
    /// The moment so many microseconds after the beginning of 1970, shifted by minutes.
    pub(super) fn at(time_us: u64, shift_min: i16) -> Self {
        let seconds = (time_us / MICROS).saturating_add_signed(i64::from(shift_min) * 60);
        let (days, second) = (seconds / DAY_S, seconds % DAY_S);
        // Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days; years begin in March there.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let yearday = if month > 2 {
            of_year + 60 + u64::from(is_leap)
        } else {
            of_year - 305
        };
        Self {
            year,
            month,
            day,
            yearday,
            second,
        }
    }

    /// `MMDDhhmmss`, field 7.
    pub(super) fn transmission(self) -> String {
        format!("{}{}", self.date(), self.time())
    }

    /// `MMDD`, field 13.
    pub(super) fn date(self) -> String {
        format!("{:02}{:02}", self.month, self.day)
    }

    /// `hhmmss`, field 12.
    pub(super) fn time(self) -> String {
        let (minutes, second) = (self.second / 60, self.second % 60);
        format!("{:02}{:02}{second:02}", minutes / 60, minutes % 60)
    }

    /// `YDDDhh`: the customary beginning of a retrieval reference number.
    pub(super) fn reference(self) -> String {
        let hour = self.second / 3_600;
        format!("{}{:03}{hour:02}", self.year % 10, self.yearday)
    }
}
