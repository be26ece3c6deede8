//! `Date: Sat, 13 Nov 2010 23:29:00 GMT`

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{HeaderField, HeaderName, HeaderValue, ParseError, ParseErrorKind};

/// When the message was sent, to the second (RFC 3261 §20.17).
///
/// ```text
/// Date          =  "Date" HCOLON SIP-date
/// SIP-date      =  rfc1123-date
/// rfc1123-date  =  wkday "," SP date1 SP time SP "GMT"
/// ```
///
/// ```
/// use sip_message::headers::Date;
///
/// let date: Date = "Sat, 13 Nov 2010 23:29:00 GMT".parse()?;
/// assert_eq!(date.unix_seconds(), 1_289_690_940);
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(u64);

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// The end of the year 9999: later than that the grammar cannot say.
const LATEST: u64 = 253_402_300_799;

impl Date {
    /// The second that `time` lies in; a time before 1970 is the start of 1970.
    pub fn new(time: SystemTime) -> Self {
        Self::from_unix_seconds(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
    }

    /// Seconds since the start of 1970; more than the grammar can say is the end of the year 9999.
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(if seconds > LATEST { LATEST } else { seconds })
    }

    /// Seconds since the start of 1970.
    pub const fn unix_seconds(self) -> u64 {
        self.0
    }

    /// As a time.
    pub fn time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0)
    }
}

impl HeaderField for Date {
    const NAME: HeaderName = HeaderName::DATE;

    fn parse(value: &HeaderValue) -> Result<Self, ParseError> {
        let text = value.text();
        let mut words = text.split_ascii_whitespace();
        let mut word = || words.next().ok_or_else(|| ParseError::malformed(0));
        let day_name = word()?.strip_suffix(',').ok_or_else(|| ParseError::malformed(0))?;
        if !DAYS.iter().any(|day| day.eq_ignore_ascii_case(day_name)) {
            return Err(ParseError::malformed(0));
        }
        let day = digits(word()?, 2)?;
        let month_name = word()?;
        let month = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(month_name));
        let month = month.ok_or_else(|| ParseError::malformed(0))? as u64 + 1;
        let year = digits(word()?, 4)?;
        let mut clock = word()?.split(':');
        let mut part = || digits(clock.next().unwrap_or(""), 2);
        let (hour, minute, second) = (part()?, part()?, part()?);
        // RFC 3261 §20.17: only GMT, unlike RFC 1123.
        if !word()?.eq_ignore_ascii_case("GMT") || words.next().is_some() || clock.next().is_some() {
            return Err(ParseError::malformed(0));
        }
        let valid = year >= 1970 && (1..=days_in(year, month)).contains(&day) && hour < 24 && minute < 60 && second <= 60;
        if !valid {
            return Err(ParseError::new(ParseErrorKind::OutOfRange, 0));
        }
        let days = days_before_year(year) + (1..month).map(|month| days_in(year, month)).sum::<u64>() + day - 1;
        Ok(Self::from_unix_seconds(days * 86_400 + hour * 3_600 + minute * 60 + second))
    }

    fn value(&self) -> HeaderValue {
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        // 400 years have 146,097 days, so this first guess is never too high and at most one year too low.
        let mut year = 1970 + days * 400 / 146_097;
        while days_before_year(year + 1) <= days {
            year += 1;
        }
        while days_before_year(year) > days {
            year -= 1;
        }
        let mut day = days - days_before_year(year);
        let mut month = 1;
        while day >= days_in(year, month) {
            day -= days_in(year, month);
            month += 1;
        }
        HeaderValue::written(format!(
            "{}, {:02} {} {year:04} {:02}:{:02}:{:02} GMT",
            DAYS[(days % 7) as usize],
            day + 1,
            MONTHS[month as usize - 1],
            second / 3_600,
            second / 60 % 60,
            second % 60
        ))
    }
}

display_as_value!(Date);

fn digits(text: &str, length: usize) -> Result<u64, ParseError> {
    if text.len() == length && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().map_err(|_| ParseError::malformed(0))
    } else {
        Err(ParseError::malformed(0))
    }
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the start of 1970 to the start of `year`.
const fn days_before_year(year: u64) -> u64 {
    let before = year - 1;
    before * 365 + before / 4 - before / 100 + before / 400 - 719_162
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_survive_writing_and_reading() {
        for seconds in [0, 951_782_400, 951_868_799, 1_289_690_940, 4_102_444_799, LATEST] {
            let date = Date::from_unix_seconds(seconds);
            assert_eq!(date.to_string().parse::<Date>(), Ok(date), "{date}");
        }
        assert_eq!(Date::from_unix_seconds(1_289_690_940).to_string(), "Sat, 13 Nov 2010 23:29:00 GMT");
    }

    /// RFC 4475 §3.1.2.12.
    #[test]
    fn a_zone_other_than_gmt_is_refused() {
        assert!("Fri, 01 Jan 2010 16:00:00 EST".parse::<Date>().is_err());
        assert!("Thu, 30 Feb 2010 16:00:00 GMT".parse::<Date>().is_err());
    }
}
