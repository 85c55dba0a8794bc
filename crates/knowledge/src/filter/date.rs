//! Dates as people write them in filters: `2026-11-24`, `2026-11-24T09:30:00Z`, `2026-11-24 09:30`.

/// Seconds of Unix time; without a zone it is UTC. `None` for anything else.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let [year, month, day] = numbers::<3>(date, '-')?;
    let days = days(year, month, day)?;
    let Some(time) = time else { return Some(days * 86_400) };
    let (time, offset) = zone(time)?;
    let time = time.split_once('.').map_or(time, |(whole, _)| whole);
    let [hour, minute, second] = numbers::<3>(time, ':').or_else(|| {
        let [hour, minute] = numbers::<2>(time, ':')?;
        Some([hour, minute, 0])
    })?;
    let fits = hour < 24 && minute < 60 && second < 61;
    fits.then_some(days * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

/// The time without its zone, and how many seconds that is ahead of UTC.
fn zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = time.find(['+', '-']) else { return Some((time, 0)) };
    let [hours, minutes] = numbers::<2>(&time[at + 1..], ':')?;
    let ahead = hours * 3600 + minutes * 60;
    Some((&time[..at], if time[at..].starts_with('-') { -ahead } else { ahead }))
}

fn numbers<const N: usize>(text: &str, between: char) -> Option<[i64; N]> {
    let is_number =
        |part: &&str| !part.is_empty() && part.len() <= 4 && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Option<Vec<i64>> = text
        .split(between)
        .map(|part| Some(part).filter(is_number).and_then(|part| part.parse().ok()))
        .collect();
    parts?.try_into().ok()
}

/// Days from 1970-01-01, by the Gregorian calendar (H. Hinnant, "chrono-compatible low-level date
/// algorithms", `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (1..=length).contains(&day).then_some(())?;
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn dates_are_read_as_people_write_them() {
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("2024-02-29", Some(1_709_164_800)),
            ("2023-02-29", None),
            ("2026-11-24T09:30:00Z", Some(1_795_512_600)),
            ("2026-11-24 09:30", Some(1_795_512_600)),
            ("2026-11-24T11:30:00.5+02:00", Some(1_795_512_600)),
            ("2026-11-24T09:30:00-01:00", Some(1_795_516_200)),
            ("2026-13-01", None),
            ("24.11.2026", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
