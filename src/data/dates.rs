//! Dates and times as they stand in tables.

use crate::config::words;
use crate::{Error, Result};

/// In which order a date names its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DateOrder {
    /// `2024-02-29`, as in ISO 8601.
    #[default]
    YearMonthDay,
    /// `29.2.2024`
    DayMonthYear,
    /// `2/29/2024`
    MonthDayYear,
}

words!(DateOrder: YearMonthDay = "ymd", DayMonthYear = "dmy", MonthDayYear = "mdy");

/// A day of the Gregorian calendar, and a time on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DateTime {
    /// The year, 1 to 9999.
    pub year: u32,
    /// The month, 1 to 12.
    pub month: u32,
    /// The day of the month, 1 to 31.
    pub day: u32,
    /// The hour, 0 to 23.
    pub hour: u32,
    /// The minute, 0 to 59.
    pub minute: u32,
    /// The second with its fraction, 0 to below 60.
    pub second: f64,
}

impl DateTime {
    /// Reads a date with or without a time: three numbers between `-`, `/` or `.`, a space or a `T`, `hh:mm`, `hh:mm:ss` or
    /// `hh:mm:ss.fff`; a `Z` at the end is passed over.
    ///
    /// ```
    /// use gradus::data::{DateOrder, DateTime};
    /// let time = DateTime::parse("2024-02-29 18:30", DateOrder::YearMonthDay)?;
    /// assert_eq!((time.day_of_year(), time.weekday(), time.hour), (60, 3, 18));
    /// assert_eq!(DateTime::parse("29.2.2024", DateOrder::DayMonthYear)?.days(), 19_782.0);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Data`] for a text of another form, or a day or time that does not exist.
    pub fn parse(text: &str, order: DateOrder) -> Result<Self> {
        let refuse = || {
            let form = match order {
                DateOrder::YearMonthDay => "2024-02-29",
                DateOrder::DayMonthYear => "29.2.2024",
                DateOrder::MonthDayYear => "2/29/2024",
            };
            Error::data("DateTime", format!("a date such as {form}, with or without a time such as 18:30:05"), text)
        };
        Self::read(text.trim(), order).ok_or_else(refuse)
    }

    fn read(text: &str, order: DateOrder) -> Option<Self> {
        let text = text.strip_suffix('Z').unwrap_or(text);
        let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, ""));
        let separator = date.chars().find(|sign| ['-', '/', '.'].contains(sign))?;
        let parts: Vec<u32> = date.split(separator).map(whole_number).collect::<Option<_>>()?;
        let &[first, second, third] = &parts[..] else { return None };
        let (year, month, day) = match order {
            DateOrder::YearMonthDay => (first, second, third),
            DateOrder::DayMonthYear => (third, second, first),
            DateOrder::MonthDayYear => (third, first, second),
        };
        let mut clock = time.trim().split(':');
        let (hour, minute, seconds) = match (clock.next()?, clock.next(), clock.next(), clock.next()) {
            ("", None, ..) => (0, 0, 0.0),
            (hour, Some(minute), None, None) => (whole_number(hour)?, whole_number(minute)?, 0.0),
            (hour, Some(minute), Some(second), None) => {
                // A sign or an exponent is no part of a time.
                let plain = second.chars().all(|sign| sign.is_ascii_digit() || sign == '.');
                (whole_number(hour)?, whole_number(minute)?, second.parse().ok().filter(|_| plain)?)
            }
            _ => return None,
        };
        let exists = (1..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && seconds < 60.0;
        exists.then_some(Self { year, month, day, hour, minute, second: seconds })
    }

    /// Days since 1 January 1970, with the time of the day as a fraction.
    pub fn days(&self) -> f64 {
        let before = |year: u32| {
            let past = year - 1;
            365 * past + past / 4 - past / 100 + past / 400
        };
        let days = f64::from(before(self.year) + self.day_of_year()) - f64::from(before(1970) + 1);
        let seconds = f64::from(self.hour * 3600 + self.minute * 60) + self.second;
        days + seconds / 86_400.0
    }

    /// The day of the week: 0 is Monday, 6 Sunday.
    pub fn weekday(&self) -> u32 {
        // 1 January of the year 1 was a Monday.
        let past = self.year - 1;
        (365 * past + past / 4 - past / 100 + past / 400 + self.day_of_year() - 1) % 7
    }

    /// The day of the year: 1 is the first of January.
    pub fn day_of_year(&self) -> u32 {
        (1..self.month).map(|month| days_in_month(self.year, month)).sum::<u32>() + self.day
    }
}

/// Digits alone.
fn whole_number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
