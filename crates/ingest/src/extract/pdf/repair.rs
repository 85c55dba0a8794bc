//! Giving a damaged PDF a table of its objects again.
//!
//! A PDF is read from its end, where a table says where each object is. A file that lost its end, or
//! whose table is wrong, still has its objects, each with its number in front. They are looked for,
//! those packed into streams are unpacked, and a new table is written behind all of them.

use std::{collections::BTreeMap, io::Read as _};

use flate2::read::ZlibDecoder;

/// Objects of one file that are looked at.
const MOST_OBJECTS: usize = 1_000_000;

/// Pages that are listed anew.
const MOST_PAGES: usize = 5_000;

/// How far the dictionary of an object is looked into.
const LONGEST_HEAD: usize = 4096;

/// Where the pages of a repaired file are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// Where they always were.
    Found,
    /// In a list of all pages that are found, in the order of the file.
    Made,
}

/// A PDF with the objects of `bytes` and a table of them; `None` if there is nothing to be made of
/// them. The objects of `bytes` may expand to `most` bytes.
pub(super) fn repaired(bytes: &[u8], root: Root, most: u64) -> Option<Vec<u8>> {
    let mut file = bytes.to_vec();
    let mut places: BTreeMap<u32, usize> = BTreeMap::new();
    let mut packed = Vec::new();
    let mut found = Found::default();
    for (number, at, body) in objects(bytes).take(MOST_OBJECTS) {
        let head = &bytes[body..bytes.len().min(body + LONGEST_HEAD)];
        let head = &head[..position(head, b"endobj").unwrap_or(head.len())];
        // Who has the key can do without a table hardly more often than who has not.
        if has_name(head, b"Encrypt") {
            return None;
        }
        if has_pair(head, b"Type", b"ObjStm") {
            packed.push(body);
        }
        found.look_at(number, head);
        // Of an object that was written twice, the later one counts.
        places.insert(number, at);
    }
    let mut left = most;
    for body in packed {
        for (number, content) in unpacked(bytes, body, &mut left) {
            found.look_at(number, &content);
            if let std::collections::btree_map::Entry::Vacant(place) = places.entry(number) {
                file.push(b'\n');
                place.insert(file.len());
                file.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
                file.extend_from_slice(&content);
                file.extend_from_slice(b"\nendobj\n");
            }
        }
    }
    let root = match root {
        Root::Found => found.catalog?,
        Root::Made => found.list_pages(&mut file, &mut places)?,
    };
    file.extend_from_slice(b"\n");
    let table = file.len();
    file.extend_from_slice(b"xref\n");
    for (number, at) in &places {
        file.extend_from_slice(format!("{number} 1\n{at:010} 00000 n \n").as_bytes());
    }
    let size = u64::from(*places.keys().next_back()?) + 1;
    let end = format!("trailer\n<</Root {root} 0 R/Size {size}>>\nstartxref\n{table}\n%%EOF\n");
    file.extend_from_slice(end.as_bytes());
    Some(file)
}

/// What is found among the objects.
#[derive(Default)]
struct Found {
    catalog: Option<u32>,
    pages: Vec<u32>,
}

impl Found {
    fn look_at(&mut self, number: u32, head: &[u8]) {
        if has_pair(head, b"Type", b"Catalog") {
            self.catalog = Some(number);
        } else if has_pair(head, b"Type", b"Page")
            && !self.pages.contains(&number)
            && self.pages.len() < MOST_PAGES
        {
            self.pages.push(number);
        }
    }

    /// Write a catalog that lists the pages; its number.
    fn list_pages(&self, file: &mut Vec<u8>, places: &mut BTreeMap<u32, usize>) -> Option<u32> {
        if self.pages.is_empty() {
            return None;
        }
        let list = places.keys().next_back()?.checked_add(1)?;
        let root = list.checked_add(1)?;
        let kids: String = self.pages.iter().map(|page| format!("{page} 0 R ")).collect();
        file.push(b'\n');
        places.insert(list, file.len());
        let pages = format!(
            "{list} 0 obj\n<</Type/Pages/MediaBox[0 0 612 792]/Count {}/Kids[{kids}]>>\nendobj\n",
            self.pages.len()
        );
        file.extend_from_slice(pages.as_bytes());
        places.insert(root, file.len());
        file.extend_from_slice(
            format!("{root} 0 obj\n<</Type/Catalog/Pages {list} 0 R>>\nendobj\n").as_bytes(),
        );
        Some(root)
    }
}

/// The objects of a file: number, where its number is, and where its content begins.
fn objects(bytes: &[u8]) -> impl Iterator<Item = (u32, usize, usize)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let found = from + position(bytes.get(from..)?, b"obj")?;
            from = found + 3;
            if let Some((number, at)) = header(&bytes[..found]) {
                return Some((number, at, from));
            }
        }
    })
}

/// The number of the object whose `obj` follows `before`, and where it is.
fn header(before: &[u8]) -> Option<(u32, usize)> {
    let before = before.trim_ascii_end();
    let (before, generation) = number_at_end(before)?;
    let trimmed = before.trim_ascii_end();
    // Digits that touch each other are one number.
    if generation > 65_535 || trimmed.len() == before.len() {
        return None;
    }
    let (rest, number) = number_at_end(trimmed)?;
    let number = u32::try_from(number).ok().filter(|number| *number < 100_000_000)?;
    (generation == 0).then_some((number, rest.len()))
}

fn number_at_end(bytes: &[u8]) -> Option<(&[u8], u64)> {
    let digits = bytes.iter().rev().take(10).take_while(|byte| byte.is_ascii_digit()).count();
    let (rest, digits) = bytes.split_at(bytes.len() - digits);
    Some((rest, std::str::from_utf8(digits).ok()?.parse().ok()?))
}

/// The objects in an object stream. Only the one filter that is used for these is known.
fn unpacked(bytes: &[u8], body: usize, left: &mut u64) -> Vec<(u32, Vec<u8>)> {
    let head = &bytes[body..bytes.len().min(body + LONGEST_HEAD)];
    let Some(stream) = position(head, b"stream") else { return Vec::new() };
    let dictionary = &head[..stream];
    let (Some(count), Some(first)) = (integer(dictionary, b"/N"), integer(dictionary, b"/First")) else {
        return Vec::new();
    };
    let mut start = body + stream + b"stream".len();
    start += bytes[start..].iter().take(2).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let mut content = Vec::new();
    // What comes before a damage is as good as it was.
    let _ = ZlibDecoder::new(&bytes[start..]).take(*left).read_to_end(&mut content);
    *left = left.saturating_sub(content.len() as u64);
    let numbers: Vec<usize> = content
        .get(..first)
        .unwrap_or_default()
        .split(u8::is_ascii_whitespace)
        .filter_map(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
        .take(count.min(MOST_OBJECTS) * 2)
        .collect();
    let (pairs, _) = numbers.as_chunks::<2>();
    let mut objects = Vec::with_capacity(pairs.len());
    for (index, [number, offset]) in pairs.iter().enumerate() {
        let end = pairs.get(index + 1).map_or(content.len(), |[_, next]| first.saturating_add(*next));
        let object = content.get(first.saturating_add(*offset)..end.min(content.len()));
        if let (Ok(number), Some(object)) = (u32::try_from(*number), object) {
            objects.push((number, object.to_vec()));
        }
    }
    objects
}

fn integer(dictionary: &[u8], name: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + position(dictionary.get(from..)?, name)? + name.len();
        let rest = dictionary[at..].trim_ascii_start();
        let digits = rest.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 {
            return std::str::from_utf8(&rest[..digits]).ok()?.parse().ok();
        }
        from = at;
    }
}

fn has_name(dictionary: &[u8], name: &[u8]) -> bool {
    position(dictionary, name).is_some_and(|at| at > 0 && dictionary[at - 1] == b'/')
}

/// Whether a dictionary has `/key/value`, with or without space between.
fn has_pair(dictionary: &[u8], key: &[u8], value: &[u8]) -> bool {
    let mut from = 0;
    while let Some(at) = dictionary.get(from..).and_then(|rest| position(rest, key)) {
        let after = from + at + key.len();
        let rest = dictionary[after..].trim_ascii_start();
        if rest.strip_prefix(b"/").is_some_and(|rest| {
            rest.starts_with(value) && rest.get(value.len()).is_none_or(|byte| !byte.is_ascii_alphanumeric())
        }) {
            return true;
        }
        from = after;
    }
    false
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, wanted)
}
