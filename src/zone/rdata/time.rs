//! The times of signatures: seconds since 1970 ↔ `YYYYMMDDHHmmSS` (RFC 4034 3.2).
//!
//! Days are counted in years that start in March, so that the leap day is the last of its year.
//!
//! Never here: a clock; whether a signature is valid now is asked elsewhere.

use super::text::digits;

const DAY: u64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: u64 = 719_468;
/// Days of 400 years.
const ERA: u64 = 146_097;

/// Seconds since 1970 from either form: fourteen digits are a date, up to ten are the seconds themselves.
pub(super) fn read(text: &[u8]) -> Option<u32> {
    let seconds = match text.len() {
        14 => date(text)?,
        1..=10 => digits(text)?,
        _ => return None,
    };
    u32::try_from(seconds).ok()
}

fn date(text: &[u8]) -> Option<u64> {
    let part = |from: usize, to: usize| digits(&text[from..to]);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let in_range = year >= 1970 && (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    if !in_range || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(days_since_epoch(year, month, day) * DAY + hour * 3600 + minute * 60 + second)
}

const fn days_of(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

const fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year % 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    (year / 400) * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH
}

/// `YYYYMMDDHHmmSS`.
pub(super) fn write(seconds: u32) -> String {
    let seconds = u64::from(seconds);
    let (days, second) = (seconds / DAY + EPOCH, seconds % DAY);
    let (era, of_era) = (days / ERA, days % ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}{:02}{:02}{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_seconds() {
        let cases = [
            ("19700101000000", Some(0)),
            ("20030322173103", Some(1_048_354_263)), // RFC 4034 3.3
            ("20000229235959", Some(951_868_799)),
            ("21060207062815", Some(u32::MAX)),
            ("21060207062816", None),
            ("20010229000000", None),
            ("20011301000000", None),
            ("20010101240000", None),
            ("1048354263", Some(1_048_354_263)),
            ("4294967296", None),
            ("200303221731", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text.as_bytes()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn written_times_read_back(seconds: u32) {
            prop_assert_eq!(read(write(seconds).as_bytes()), Some(seconds));
        }
    }
}
