//! Dates as numbers that a network learns from.

use crate::Result;
use crate::config::{options, words};
use crate::data::{DateOrder, DateTime};

/// What of a date becomes a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatePart {
    /// The year.
    Year,
    /// The month, 1 to 12.
    Month,
    /// The day of the month, 1 to 31.
    Day,
    /// The day of the week, Monday 0 to Sunday 6.
    Weekday,
    /// The day of the year, 1 to 366.
    DayOfYear,
    /// The hour of the day with its fraction, 0 to below 24.
    Hour,
    /// Days since 1 January 1970, with the time of the day as a fraction.
    Elapsed,
}

words!(DatePart: Year = "year", Month = "month", Day = "day", Weekday = "weekday", DayOfYear = "day_of_year", Hour = "hour",
    Elapsed = "elapsed");

impl DatePart {
    /// Where it begins, and after how much it begins again, if it does.
    fn period(self) -> Option<(f64, f64)> {
        match self {
            Self::Year | Self::Elapsed => None,
            Self::Month => Some((1.0, 12.0)),
            Self::Day => Some((1.0, 31.0)),
            Self::Weekday => Some((0.0, 7.0)),
            Self::DayOfYear => Some((1.0, 365.25)),
            Self::Hour => Some((0.0, 24.0)),
        }
    }

    fn of(self, time: &DateTime) -> f64 {
        match self {
            Self::Year => f64::from(time.year),
            Self::Month => f64::from(time.month),
            Self::Day => f64::from(time.day),
            Self::Weekday => f64::from(time.weekday()),
            Self::DayOfYear => f64::from(time.day_of_year()),
            Self::Hour => f64::from(time.hour) + f64::from(time.minute) / 60.0 + time.second / 3600.0,
            Self::Elapsed => time.days(),
        }
    }
}

options! {
    /// Parts of a date as numbers. With `cyclic`, what comes again becomes sin and cos of its angle on a circle, so that December lies
    /// beside January: part p with start a and period T gives sin 2π(p − a)/T and cos 2π(p − a)/T.
    ///
    /// # Defaults
    /// `order` year, month, day; `parts` year, month, day, weekday; `cyclic` false.
    /// # Errors
    /// [`Data`](crate::Error::Data) for a text that is no date of this order.
    /// # Example
    /// ```
    /// use gradus::data::preprocessing::{DateFeatures, DatePart};
    ///
    /// let features = DateFeatures::new().parts([DatePart::Month, DatePart::Hour]);
    /// assert_eq!(features.transform("2024-02-29 18:30")?, [2.0, 18.5]);
    /// assert_eq!(features.clone().cyclic(true).names(), ["month_sin", "month_cos", "hour_sin", "hour_cos"]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    /// # Source
    /// The accessors of pandas `Series.dt`.
    pub struct DateFeatures {
        /// In which order the dates name their parts. Default: year, month, day.
        order: DateOrder = DateOrder::YearMonthDay,
        /// What becomes a number. Default: year, month, day, weekday.
        parts: Vec<DatePart> = vec![DatePart::Year, DatePart::Month, DatePart::Day, DatePart::Weekday]
            => |parts: impl Into<Vec<DatePart>>| parts.into(),
        /// Whether what comes again becomes a place on a circle. Default: false.
        cyclic: bool = false,
    }
}

impl Default for DateFeatures {
    fn default() -> Self {
        Self::new()
    }
}

impl DateFeatures {
    /// The names of the numbers, in order.
    pub fn names(&self) -> Vec<String> {
        use crate::config::Setting;
        let word = |part: &DatePart| part.to_value().as_str().unwrap_or_default().to_owned();
        let names = self.parts.iter().map(|part| match part.period().filter(|_| self.cyclic) {
            Some(_) => vec![format!("{}_sin", word(part)), format!("{}_cos", word(part))],
            None => vec![word(part)],
        });
        names.flatten().collect()
    }

    /// The numbers of one date.
    ///
    /// # Errors
    /// A text that is no date.
    pub fn transform(&self, text: &str) -> Result<Vec<f64>> {
        let time = DateTime::parse(text, self.order)?;
        let numbers = self.parts.iter().map(|part| match part.period().filter(|_| self.cyclic) {
            Some((start, period)) => {
                let (sin, cos) = ((part.of(&time) - start) / period * std::f64::consts::TAU).sin_cos();
                vec![sin, cos]
            }
            None => vec![part.of(&time)],
        });
        Ok(numbers.flatten().collect())
    }
}
