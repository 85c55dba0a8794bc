//! Variables: the placeholders of system prompts, such as `{{CURRENT_DATE}}`.

use breezeway_core::{Principal, UnixTime};
use serde_json::{Map, Value};

/// How much longer than its template a text may become. Templates and values come from callers too,
/// and many placeholders times a long value would fill the memory.
const MAX_GROWTH: usize = 64 * 1024;

/// The longest name of a placeholder, in bytes.
const MAX_NAME: usize = 64;

const WEEKDAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// What placeholders stand for in one request.
pub(crate) struct Variables<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) now: UnixTime,
    /// Values the request brought along, under names with their braces.
    pub(crate) sent: &'a Map<String, Value>,
}

impl Variables<'_> {
    /// Put the values in. Unknown placeholders stay, and values are not looked at again.
    pub(crate) fn fill(&self, template: &str) -> String {
        let mut filled = String::with_capacity(template.len());
        let limit = template.len().saturating_add(MAX_GROWTH);
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            filled.push_str(before);
            // Looking no further than a name can reach keeps a text full of open braces linear.
            let near = &after[..after.floor_char_boundary(MAX_NAME + 2)];
            let found = near.find("}}").and_then(|end| Some((self.value(&after[..end])?, &after[end + 2..])));
            match found {
                Some((value, after)) if filled.len() + value.len() + after.len() <= limit => {
                    filled.push_str(&value);
                    rest = after;
                }
                _ => {
                    filled.push_str("{{");
                    rest = after;
                }
            }
        }
        filled.push_str(rest);
        filled
    }

    fn value(&self, name: &str) -> Option<String> {
        match name {
            // Who is asking is known here; a request does not get to say otherwise.
            "USER_NAME" => Some(self.principal.name.to_string()),
            "USER_EMAIL" => Some(self.principal.email.to_string()),
            // The client knows the time zone.
            _ => self.sent(name).or_else(|| self.time(name)),
        }
    }

    fn sent(&self, name: &str) -> Option<String> {
        self.sent.get(&format!("{{{{{name}}}}}")).and_then(Value::as_str).map(str::to_owned)
    }

    fn time(&self, name: &str) -> Option<String> {
        let (days, seconds) = (self.now.seconds().div_euclid(86_400), self.now.seconds().rem_euclid(86_400));
        let date = || {
            let (year, month, day) = civil(days);
            format!("{year:04}-{month:02}-{day:02}")
        };
        let time = || {
            let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            let half = if hour < 12 { "AM" } else { "PM" };
            format!("{:02}:{minute:02}:{second:02} {half}", (hour + 11) % 12 + 1)
        };
        Some(match name {
            "CURRENT_DATE" => date(),
            "CURRENT_TIME" => time(),
            "CURRENT_DATETIME" => format!("{} {}", date(), time()),
            "CURRENT_TIMEZONE" => "UTC".to_owned(),
            "CURRENT_WEEKDAY" => WEEKDAYS[usize::try_from(days.rem_euclid(7)).unwrap_or_default()].to_owned(),
            _ => return None,
        })
    }
}

/// The date that is `days` after 1970-01-01, in the Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    // Years are counted from March, so that the leap day is a year's last and months need no table.
    // The calendar repeats itself every 400 years, which are 146,097 days.
    const ERA: i64 = 146_097;
    let since_march_of_year_0 = days.saturating_add(719_468);
    let (era, day) = (since_march_of_year_0.div_euclid(ERA), since_march_of_year_0.rem_euclid(ERA));
    let year = (day - day / 1460 + day / 36_524 - day / (ERA - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use breezeway_core::{Credential, Role, UserId};
    use serde_json::json;

    use super::*;

    fn fill(template: &str, at: i64, sent: Value) -> String {
        let principal = Principal {
            user: UserId::mint(),
            role: Role::User,
            name: "Ada {{USER_EMAIL}}".into(),
            email: "ada@example.org".into(),
            groups: Arc::new([]),
            credential: Credential::Local,
            rules: None,
        };
        let sent = sent.as_object().unwrap();
        Variables { principal: &principal, now: UnixTime::from_seconds(at), sent }.fill(template)
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let check = |at: i64, expected: &str| {
            assert_eq!(fill("{{CURRENT_WEEKDAY}} {{CURRENT_DATETIME}}", at, json!({})), expected);
        };

        check(0, "Thursday 1970-01-01 12:00:00 AM");
        check(-1, "Wednesday 1969-12-31 11:59:59 PM");
        check(951_782_399, "Monday 2000-02-28 11:59:59 PM");
        check(951_782_400, "Tuesday 2000-02-29 12:00:00 AM");
        check(951_868_800, "Wednesday 2000-03-01 12:00:00 AM");
        check(1_709_208_000, "Thursday 2024-02-29 12:00:00 PM");
        check(4_107_542_400, "Monday 2100-03-01 12:00:00 AM");
        fill("{{CURRENT_DATETIME}}", i64::MAX, json!({}));
        fill("{{CURRENT_DATETIME}}", i64::MIN, json!({}));
    }

    #[test]
    fn values_are_not_looked_at_again_and_unknown_names_stay() {
        assert_eq!(
            fill("{{USER_NAME}}, {{NOBODY}} {{{{CURRENT_TIMEZONE}} {{", 0, json!({})),
            "Ada {{USER_EMAIL}}, {{NOBODY}} {{UTC {{"
        );
    }

    #[test]
    fn a_request_may_bring_values_but_not_a_name() {
        let sent =
            json!({"{{USER_NAME}}": "Eve", "{{USER_LOCATION}}": "Oslo", "{{CURRENT_TIMEZONE}}": "CET"});

        assert_eq!(
            fill("{{USER_LOCATION}} {{CURRENT_TIMEZONE}} {{USER_NAME}}", 0, sent),
            "Oslo CET Ada {{USER_EMAIL}}"
        );
    }

    #[test]
    fn many_placeholders_times_a_long_value_stay_bounded() {
        let (template, value) = ("{{A}}".repeat(10_000), "x".repeat(10_000));

        let filled = fill(&template, 0, json!({"{{A}}": value}));

        assert!(filled.len() <= template.len() + MAX_GROWTH);
    }
}
