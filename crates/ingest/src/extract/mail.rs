//! Mail: who wrote to whom, the text, and the attachments, each read like a file of its own.

use std::borrow::Cow;

use breezeway_knowledge::Document;
use bytes::Bytes;
use mail_parser::{Address, Message, MessageParser, MimeHeaders, PartType};

use super::{ExtractError, bundle::Bundle, html, reading::Reading, text};

mod outlook;

pub(super) use self::outlook::read as read_outlook;

/// People of a mail that are named.
const MOST_PEOPLE: usize = 100;

/// Names of the header fields that mails begin with.
const FIELDS: [&str; 16] = [
    "received",
    "return-path",
    "delivered-to",
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "x-mailer",
    "dkim-signature",
    "reply-to",
    "sender",
    "cc",
    "authentication-results",
];

/// Whether these bytes begin with the header of a mail: several of its fields, and nothing else.
pub(super) fn looks_like_one(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(16 << 10)];
    let (mut known, mut names) = (0, Vec::new());
    for line in head.split(|&byte| byte == b'\n').take(200) {
        let line = line.trim_ascii_end();
        if line.is_empty() {
            break;
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            continue;
        }
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { return false };
        let Ok(name) = std::str::from_utf8(&line[..colon]) else { return false };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return false;
        }
        let name = name.to_ascii_lowercase();
        known += usize::from(FIELDS.contains(&name.as_str()));
        names.push(name);
    }
    let has = |name: &str| names.iter().any(|found| found == name);
    known >= 3
        && (has("from") || has("received"))
        && (has("date") || has("message-id") || has("mime-version"))
}

pub(super) fn read(bytes: &[u8], reading: &mut Reading<'_>) -> Result<Document, ExtractError> {
    let message = MessageParser::default()
        .parse(bytes)
        .ok_or_else(|| ExtractError::Damaged("The mail is damaged and cannot be read.".to_owned()))?;
    let letter = Letter {
        subject: message.subject().map(Cow::Borrowed),
        from: message.from().map(people),
        to: message.to().map(people),
        cc: message.cc().map(people),
        date: message.date().map(mail_parser::DateTime::to_rfc3339),
        body: body(&message),
    };
    let mut bundle = letter.into_bundle();
    for part in message.attachments() {
        reading.count_entry()?;
        let media_type = part.content_type().map(|kind| match kind.subtype() {
            Some(subtype) => format!("{}/{subtype}", kind.ctype()),
            None => kind.ctype().to_owned(),
        });
        let media_type = media_type.unwrap_or_default().to_ascii_lowercase();
        // The logo below a signature is no attachment to anybody but a parser.
        if media_type.starts_with("image/") && part.content_id().is_some() {
            continue;
        }
        let content: Bytes = match &part.body {
            PartType::Message(inner) => Bytes::copy_from_slice(inner.raw_message()),
            _ => Bytes::copy_from_slice(part.contents()),
        };
        let is_mail = matches!(part.body, PartType::Message(_));
        let name = part.attachment_name().unwrap_or(if is_mail { "message.eml" } else { "attachment" });
        // An attached message may be called after its subject, with no ending that says what it is.
        let media_type = if is_mail { "message/rfc822" } else { media_type.as_str() };
        bundle.add(reading, name, media_type, content)?;
    }
    bundle.finish()
}

fn body(message: &Message<'_>) -> String {
    let texts = message.text_bodies().filter_map(|part| match &part.body {
        PartType::Text(text) => Some(text.trim().to_owned()),
        // There is no plain form; the page is read as pages are.
        PartType::Html(page) => html::markdown(&text::normalized(page.as_ref().into())).ok(),
        _ => None,
    });
    texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
}

fn people(address: &Address<'_>) -> String {
    let shown =
        address.iter().take(MOST_PEOPLE).filter_map(|person| match (person.name(), person.address()) {
            (Some(name), Some(address)) => Some(format!("{name} <{address}>")),
            (Some(one), None) | (None, Some(one)) => Some(one.to_owned()),
            (None, None) => None,
        });
    shown.collect::<Vec<_>>().join(", ")
}

/// A mail of whichever format.
struct Letter<'a> {
    subject: Option<Cow<'a, str>>,
    from: Option<String>,
    to: Option<String>,
    cc: Option<String>,
    date: Option<String>,
    body: String,
}

impl Letter<'_> {
    fn into_bundle(self) -> Bundle {
        let given = |text: &String| !text.trim().is_empty();
        let subject = self.subject.map(|subject| text::one_line(&subject)).filter(given);
        let mut text = String::new();
        if let Some(subject) = &subject {
            text.push_str(&format!("# {subject}\n\n"));
        }
        let from = self.from.filter(given);
        let lines = [("From", &from), ("To", &self.to), ("Cc", &self.cc), ("Date", &self.date)];
        for (name, value) in lines {
            if let Some(value) = value.as_ref().filter(|value| given(value)) {
                text.push_str(&format!("{name}: {}\n", text::one_line(value)));
            }
        }
        if !text.is_empty() && !text.ends_with("\n\n") {
            text.push('\n');
        }
        text.push_str(self.body.trim());
        let mut bundle = Bundle::with_text(text.trim_end().to_owned());
        for (name, value) in [("title", subject), ("author", from), ("creationdate", self.date)] {
            if let Some(value) = value {
                bundle.document.metadata.insert(name.to_owned(), value.into());
            }
        }
        bundle
    }
}
