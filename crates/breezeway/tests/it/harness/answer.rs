//! Answers, and how snapshots show them.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|why| panic!("the body is JSON ({why}): {}", self.text()))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Whether it says that it is JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.header("content-type") == "application/json"
    }

    /// The answer for a snapshot: the status, the content type where it is not JSON, and the body,
    /// with ids, tokens and keys replaced by what they are.
    pub(crate) fn summary(&self) -> String {
        let status = StatusCode::from_u16(self.status).unwrap();
        let mut summary = status.to_string();
        if !self.is_json() {
            summary.push('\n');
            summary.push_str(self.header("content-type"));
        }
        summary.push('\n');
        summary.push_str(&filtered(&self.shown()));
        summary
    }

    /// The same of a refusal, without the shape that its dialect puts around it.
    pub(crate) fn refusal(&self) -> String {
        match serde_json::from_slice::<Value>(&self.body) {
            Ok(body) if body["error"]["message"].is_string() => {
                let body = serde_json::json!({"detail": body["detail"]}).to_string().into();
                Self { body, ..self.clone() }.summary()
            }
            _ => self.summary(),
        }
    }

    fn shown(&self) -> String {
        match serde_json::from_slice::<Value>(&self.body) {
            // What fits a line stays on one.
            Ok(value) if value.to_string().len() > 100 => format!("{value:#}"),
            _ => self.text(),
        }
    }
}

/// Replace what differs from run to run.
fn filtered(text: &str) -> String {
    /// How long the thing is that a text begins with; zero if it begins with something else.
    type Length = fn(&str) -> usize;
    const KINDS: [(&str, Length); 5] = [
        ("[id]", uuid),
        ("[token]", |text| {
            prefixed(text, "eyJ", 20, |byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        }),
        ("[key]", |text| prefixed(text, "sk-", 32, |byte| byte.is_ascii_hexdigit())),
        ("[message id]", |text| prefixed(text, "msg_", 24, |byte| byte.is_ascii_hexdigit())),
        ("[address]", |text| prefixed(text, "http://127.0.0.1:", 2, |byte| byte.is_ascii_digit())),
    ];
    let mut shown = String::new();
    let mut rest = text;
    while let Some(sign) = rest.chars().next() {
        let found = KINDS.iter().map(|(name, length)| (name, length(rest))).find(|(_, length)| *length > 0);
        let length = match found {
            Some((name, length)) => {
                shown.push_str(name);
                length
            }
            None => {
                shown.push(sign);
                sign.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    shown
}

/// How long the UUID is that a text begins with.
fn uuid(text: &str) -> usize {
    let Some(candidate) = text.as_bytes().get(..36) else { return 0 };
    let fits = candidate.iter().enumerate().all(|(place, byte)| match place {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    if fits { 36 } else { 0 }
}

/// How long `prefix` and the signs that fit behind it are, if those are at least `least`.
fn prefixed(text: &str, prefix: &str, least: usize, fits: fn(u8) -> bool) -> usize {
    let Some(rest) = text.strip_prefix(prefix) else { return 0 };
    let length = rest.bytes().take_while(|byte| fits(*byte)).count();
    if length >= least { prefix.len() + length } else { 0 }
}
