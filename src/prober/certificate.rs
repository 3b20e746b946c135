//! Until when a certificate is valid: the one field of X.509 that probes look at, read from its DER (RFC 5280 4.1).
//!
//! The library that verifies certificates does not tell it, and verification is not always wanted. The octets come from the
//! target: reading is total, and what cannot be read is `None`.

/// A tag, its content and what follows it.
type Element<'a> = (u8, &'a [u8], &'a [u8]);

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// The version, which comes first where it is not 1.
const VERSION: u8 = 0xA0;

/// The last second in which a certificate is valid, counted from 1970.
pub(super) fn not_after(der: &[u8]) -> Option<i64> {
    let (certificate, _) = expect(SEQUENCE, der)?;
    let (signed, _) = expect(SEQUENCE, certificate)?;
    let rest = match element(signed)? {
        (VERSION, _, rest) => rest,
        _ => signed,
    };
    let (_serial, rest) = expect(INTEGER, rest)?;
    let (_algorithm, rest) = expect(SEQUENCE, rest)?;
    let (_issuer, rest) = expect(SEQUENCE, rest)?;
    let (validity, _) = expect(SEQUENCE, rest)?;
    let (_, _not_before, rest) = element(validity)?;
    let (tag, text, _) = element(rest)?;
    time(tag, text)
}

fn expect(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    element(input).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// The first element of `input`: tags of one octet, definite lengths (DER).
fn element(input: &[u8]) -> Option<Element<'_>> {
    let (&[tag, first], rest) = input.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7F => (usize::from(first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
            (octets.iter().fold(0, |length, &octet| length << 8 | usize::from(octet)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDHHMMSSZ` from 1950 to 2049, or `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &[u8]) -> Option<i64> {
    let digits = text.strip_suffix(b"Z")?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year = number(year)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    let parts: Vec<i64> = rest.chunks(2).map(number).collect::<Option<_>>()?;
    let [month @ 1..=12, day @ 1..=31, hour @ 0..=23, minute @ 0..=59, second @ 0..=60] = parts[..] else { return None };
    Some(((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

fn number(digits: &[u8]) -> Option<i64> {
    let all = digits.iter().all(u8::is_ascii_digit) && digits.len() >= 2;
    all.then(|| digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years begin in March, so that the day of a leap year is their
/// last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leaps + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_count_from_1970() {
        let utc = |text: &str| time(UTC_TIME, text.as_bytes());
        assert_eq!(utc("700101000000Z"), Some(0));
        assert_eq!(utc("491231235959Z"), Some(2_524_607_999));
        assert_eq!(utc("500101000000Z"), Some(-631_152_000));
        assert_eq!(time(GENERALIZED_TIME, b"20000229120000Z"), Some(951_825_600));
        assert_eq!(time(GENERALIZED_TIME, b"99991231235959Z"), Some(253_402_300_799));
        for bad in
            ["", "Z", "700101000000", "7001010000Z", "701301000000Z", "7001010000000Z", "70010100000xZ", "700101000000+0100"]
        {
            assert_eq!(utc(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_real_certificate_says_when_it_ends() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["x.test".to_owned()]).unwrap();
        for (year, seconds) in [(2031, 1_930_435_200), (2075, 3_318_969_600_i64)] {
            params.not_after = rcgen::date_time_ymd(year, 3, 5);
            let certificate = params.self_signed(&key).unwrap();
            assert_eq!(not_after(certificate.der()), Some(seconds), "{year}");
        }
    }

    proptest! {
        #[test]
        fn reading_is_total(octets in prop::collection::vec(prop::sample::select(&b"\x30\x02\x17\x18\xA0\x81\x82\x84\xFF\x01\x0D0Z"[..]), 0..60)) {
            let _ = not_after(&octets);
        }
    }
}
