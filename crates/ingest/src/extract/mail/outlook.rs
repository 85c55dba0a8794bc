//! Mail as Outlook saves it: properties in the streams of a compound file ([MS-OXMSG]).

use std::{borrow::Cow, io::Cursor};

use breezeway_knowledge::Document;
use bytes::Bytes;
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use office_oxide::cfb::{CfbReader, EntryType};

use super::{
    super::{ExtractError, bundle::Bundle, html, reading::Reading, text},
    Letter,
};

mod compressed;

/// Property ids of [MS-OXPROPS].
mod id {
    pub(super) const SUBJECT: &str = "0037";
    pub(super) const DISPLAY_CC: &str = "0E03";
    pub(super) const DISPLAY_TO: &str = "0E04";
    pub(super) const SENDER_NAME: &str = "0C1A";
    pub(super) const SENDER_ADDRESS: &str = "5D01";
    pub(super) const BODY: &str = "1000";
    pub(super) const BODY_RTF: &str = "1009";
    pub(super) const BODY_HTML: &str = "1013";
    pub(super) const ATTACHMENT: &str = "3701";
    pub(super) const ATTACHMENT_NAME: &str = "3707";
    pub(super) const ATTACHMENT_SHORT_NAME: &str = "3704";
    pub(super) const ATTACHMENT_TYPE: &str = "370E";
    pub(super) const ATTACHMENT_CONTENT_ID: &str = "3712";
    /// Of a message: when it was sent; a property of fixed size.
    pub(super) const SENT: u32 = 0x0039_0040;
    pub(super) const DELIVERED: u32 = 0x0E06_0040;
    pub(super) const CODE_PAGE: u32 = 0x3FDE_0003;
}

/// Messages in messages.
const DEEPEST: u32 = 8;

pub(in super::super) fn read(bytes: Bytes, reading: &mut Reading<'_>) -> Result<Document, ExtractError> {
    let file = CfbReader::new(Cursor::new(bytes)).map_err(|_| damaged())?;
    let mut store = Store { file };
    read_message(&mut store, "", 0, reading)?.finish()
}

fn damaged() -> ExtractError {
    ExtractError::Damaged("The Outlook message is damaged and cannot be read.".to_owned())
}

/// Read the message in `folder`: the file's own, or one that is attached.
fn read_message(
    store: &mut Store,
    folder: &str,
    depth: u32,
    reading: &mut Reading<'_>,
) -> Result<Bundle, ExtractError> {
    // The header of the properties is longer in the outermost message.
    let fixed = store.fixed(folder, if depth == 0 { 32 } else { 24 });
    let page = fixed.iter().find(|(tag, _)| *tag == id::CODE_PAGE).map(|(_, value)| *value);
    let encoding = page.and_then(code_page).unwrap_or(WINDOWS_1252);
    let sent = [id::SENT, id::DELIVERED]
        .into_iter()
        .find_map(|wanted| fixed.iter().find(|(tag, _)| *tag == wanted))
        .and_then(|(_, ticks)| time(*ticks));
    let name = store.text(folder, id::SENDER_NAME, encoding);
    let address = store.text(folder, id::SENDER_ADDRESS, encoding).filter(|address| address.contains('@'));
    let letter = Letter {
        subject: store.text(folder, id::SUBJECT, encoding).map(Cow::Owned),
        from: match (name, address) {
            (Some(name), Some(address)) if name != address => Some(format!("{name} <{address}>")),
            (name, address) => name.or(address),
        },
        to: store.text(folder, id::DISPLAY_TO, encoding),
        cc: store.text(folder, id::DISPLAY_CC, encoding),
        date: sent,
        body: body(store, folder, encoding, reading),
    };
    let mut bundle = letter.into_bundle();
    for attachment in store.attachments(folder) {
        reading.count_entry()?;
        attach(store, &attachment, encoding, depth, &mut bundle, reading)?;
    }
    Ok(bundle)
}

/// The text, from the form that says most and is easiest to read.
fn body(store: &mut Store, folder: &str, encoding: &'static Encoding, reading: &Reading<'_>) -> String {
    if let Some(text) = store.text(folder, id::BODY, encoding).filter(|text| !text.trim().is_empty()) {
        return text;
    }
    let page = store.stream(folder, id::BODY_HTML, "0102").map(|page| text::markup(&page));
    let page = page.or_else(|| store.text(folder, id::BODY_HTML, encoding));
    if let Some(text) =
        page.and_then(|page| html::markdown(&page).ok()).filter(|text| !text.trim().is_empty())
    {
        return text;
    }
    let rich = store.stream(folder, id::BODY_RTF, "0102");
    let rich = rich.and_then(|rich| compressed::unpack(&rich, reading.limits().text_bytes));
    rich.and_then(|rich| super::super::rtf::read(&rich, reading.limits()).ok())
        .map(|document| document.text)
        .unwrap_or_default()
}

fn attach(
    store: &mut Store,
    folder: &str,
    encoding: &'static Encoding,
    depth: u32,
    bundle: &mut Bundle,
    reading: &mut Reading<'_>,
) -> Result<(), ExtractError> {
    let name = store
        .text(folder, id::ATTACHMENT_NAME, encoding)
        .or_else(|| store.text(folder, id::ATTACHMENT_SHORT_NAME, encoding))
        .filter(|name| !name.trim().is_empty());
    let message = format!("{folder}/__substg1.0_{}000D", id::ATTACHMENT);
    if store.has_folder(&message) {
        if depth >= DEEPEST {
            let limit = ExtractError::Limit(format!("{DEEPEST} messages inside one another"));
            bundle.skip(name.unwrap_or_default(), limit);
            return Ok(());
        }
        let inner = read_message(store, &message, depth + 1, reading)?.finish();
        match inner {
            Ok(document) if document.text.is_empty() => {}
            Ok(document) => bundle.append_document(&name.unwrap_or_else(|| "message".to_owned()), document),
            Err(error) => bundle.skip(name.unwrap_or_default(), error),
        }
        return Ok(());
    }
    let Some(content) = store.stream(folder, id::ATTACHMENT, "0102") else { return Ok(()) };
    let media_type = store.text(folder, id::ATTACHMENT_TYPE, encoding).unwrap_or_default();
    let is_inline = store.text(folder, id::ATTACHMENT_CONTENT_ID, encoding).is_some();
    if media_type.starts_with("image/") && is_inline {
        return Ok(());
    }
    bundle.add(reading, &name.unwrap_or_else(|| "attachment".to_owned()), &media_type, content.into())
}

/// The compound file.
struct Store {
    file: CfbReader<Cursor<Bytes>>,
}

impl Store {
    fn stream(&mut self, folder: &str, property: &str, kind: &str) -> Option<Vec<u8>> {
        self.file.open_stream_by_path(&joined(folder, &format!("__substg1.0_{property}{kind}"))).ok()
    }

    fn has_folder(&self, path: &str) -> bool {
        let index = self.file.find_entry_by_path(path.trim_start_matches('/'));
        index.is_some_and(|index| self.file.entries()[index].entry_type == EntryType::Storage)
    }

    /// A property that is text, in UTF-16 or in the message's code page.
    fn text(&mut self, folder: &str, property: &str, encoding: &'static Encoding) -> Option<String> {
        if let Some(bytes) = self.stream(folder, property, "001F") {
            let (pairs, _) = bytes.as_chunks::<2>();
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
            return Some(String::from_utf16_lossy(&units).trim_end_matches('\0').to_owned());
        }
        let bytes = self.stream(folder, property, "001E")?;
        let encoding = if std::str::from_utf8(&bytes).is_ok() { UTF_8 } else { encoding };
        let text = encoding.decode_without_bom_handling(&bytes).0;
        Some(text.trim_end_matches('\0').to_owned())
    }

    /// Properties of fixed size: tag and value.
    fn fixed(&mut self, folder: &str, header: usize) -> Vec<(u32, u64)> {
        let path = joined(folder, "__properties_version1.0");
        let bytes = self.file.open_stream_by_path(&path).unwrap_or_default();
        let (entries, _) = bytes.get(header..).unwrap_or_default().as_chunks::<16>();
        entries
            .iter()
            .map(|entry| {
                let [a, b, c, d, _, _, _, _, value @ ..] = *entry;
                (u32::from_le_bytes([a, b, c, d]), u64::from_le_bytes(value))
            })
            .collect()
    }

    /// The folders of a message's attachments, which are numbered without gaps only mostly.
    fn attachments(&self, folder: &str) -> Vec<String> {
        let numbers = 0..self.file.entries().len().min(10_000);
        let mut missing = 0;
        numbers
            .map(|number| joined(folder, &format!("__attach_version1.0_#{number:08X}")))
            .take_while(|path| {
                missing = if self.has_folder(path) { 0 } else { missing + 1 };
                missing < 16
            })
            .filter(|path| self.has_folder(path))
            .collect()
    }
}

fn joined(folder: &str, name: &str) -> String {
    let folder = folder.trim_start_matches('/');
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// The encoding of a code page's number.
fn code_page(number: u64) -> Option<&'static Encoding> {
    let label = match number & 0xFFFF_FFFF {
        932 => "shift_jis".to_owned(),
        936 => "gbk".to_owned(),
        949 => "euc-kr".to_owned(),
        950 => "big5".to_owned(),
        50_220..=50_222 => "iso-2022-jp".to_owned(),
        51_932 => "euc-jp".to_owned(),
        20_866 => "koi8-r".to_owned(),
        65_001 => "utf-8".to_owned(),
        page @ (874 | 1250..=1258) => format!("windows-{page}"),
        page @ 28_591..=28_606 => format!("iso-8859-{}", page - 28_590),
        _ => return None,
    };
    Encoding::for_label(label.as_bytes())
}

/// A time in units of 100 ns since 1601, as RFC 3339.
fn time(ticks: u64) -> Option<String> {
    const UNIX_EPOCH: i64 = 11_644_473_600;
    let seconds = i64::try_from(ticks / 10_000_000).ok()?.checked_sub(UNIX_EPOCH)?;
    let year_limit = 253_402_300_800;
    let time = mail_parser::DateTime::from_timestamp(seconds);
    (0..year_limit).contains(&seconds).then(|| time.to_rfc3339())
}
