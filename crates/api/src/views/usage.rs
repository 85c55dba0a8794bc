//! Reports of usage, as JSON and as CSV.

use breezeway_auth::Auth;
use breezeway_usage::ReportRow;
use serde_json::{Map, Value};

/// The columns of a report, in order, with what each says of a row. Those before `requests` are there
/// only if the report keeps them apart.
fn columns(row: &ReportRow, auth: &Auth) -> [(&'static str, Value); 17] {
    let totals = &row.totals;
    let account = row.account.as_ref();
    let email = account.and_then(|id| auth.account(id)).map(|account| account.email.clone());
    let mean = |sum: u64, count: u64| sum.checked_div(count).into();
    [
        ("day", row.day.map_or(Value::Null, |day| day.to_string().into())),
        ("account_id", account.map_or(Value::Null, |id| id.as_str().into())),
        ("email", email.into()),
        ("key_id", row.key.as_ref().map_or(Value::Null, |id| id.as_str().into())),
        ("model", row.model.as_deref().into()),
        ("requests", totals.requests.into()),
        ("estimated", totals.estimated.into()),
        ("failed", totals.failed.into()),
        ("aborted", totals.aborted.into()),
        ("refused", totals.refused.into()),
        ("input_tokens", totals.input.into()),
        ("output_tokens", totals.output.into()),
        ("cached_tokens", totals.cached.into()),
        ("total_tokens", totals.input.saturating_add(totals.output).into()),
        ("cost", (totals.cost as f64 / 1e6).into()),
        ("mean_first_token_ms", mean(totals.first_token_ms, totals.first_tokens)),
        ("mean_duration_ms", mean(totals.duration_ms, totals.requests)),
    ]
}

/// One row.
pub(crate) fn row(row: &ReportRow, auth: &Auth) -> Value {
    let columns = columns(row, auth).map(|(name, value)| (name.to_owned(), value));
    Map::from_iter(columns).into()
}

/// All rows, below a line of names (RFC 4180).
pub(crate) fn csv(rows: &[ReportRow], auth: &Auth) -> String {
    let mut text = String::new();
    let names = columns(&ReportRow::default(), auth).map(|(name, _)| name);
    text.push_str(&names.join(","));
    text.push_str("\r\n");
    for row in rows {
        let fields = columns(row, auth).map(|(_, value)| field(&value));
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}

/// A field. Spreadsheets take a text that begins like a formula for one, and names come from people,
/// so it gets a quote in front, as OWASP advises ("CSV Injection").
fn field(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => {
            let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
            let guarded = if formula { format!("'{text}") } else { text.clone() };
            match guarded.contains([',', '"', '\n', '\r']) {
                true => format!("\"{}\"", guarded.replace('"', "\"\"")),
                false => guarded,
            }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_formulas_are_text() {
        for (text, expected) in [
            ("gpt-4", "gpt-4"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "'=1+1"),
            ("@x,y", "\"'@x,y\""),
        ] {
            assert_eq!(field(&text.into()), expected);
        }
        assert_eq!(field(&Value::Null), "");
        assert_eq!(field(&0.25.into()), "0.25");
    }
}
