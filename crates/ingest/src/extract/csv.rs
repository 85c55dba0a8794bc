//! Separated values: each row as lines of `column: value`, so that a chunk explains itself.
//!
//! Rows of a file without a header say nothing that way; such a file stays as it was written.

use ::csv::{ReaderBuilder, StringRecord};
use breezeway_knowledge::Document;

use super::{ExtractError, Hint, Limits, text, text_limit};

/// Rows looked at to tell the delimiter.
const SAMPLE_ROWS: usize = 50;

pub(super) fn read(bytes: &[u8], hint: &Hint, limits: &Limits) -> Result<Document, ExtractError> {
    let document = text::read(bytes)?;
    let delimiter = delimiter(&document.text, hint);
    let mut rows = reader(&document.text, delimiter);
    let mut record = StringRecord::new();
    let has_header = rows.read_record(&mut record).unwrap_or(false) && is_header(&record);
    if !has_header {
        return Ok(document);
    }
    let header: Vec<String> = record.iter().map(|name| name.trim().to_owned()).collect();
    let mut text = String::new();
    while rows.read_record(&mut record).unwrap_or(false) {
        if !text.is_empty() {
            text.push('\n');
        }
        for (column, value) in record.iter().enumerate() {
            if let Some(name) = header.get(column).filter(|name| !name.is_empty()) {
                text.push_str(name);
                text.push_str(": ");
            }
            text.push_str(value.trim());
            text.push('\n');
        }
        // Long column names make a small file large.
        if text.len() as u64 > limits.text_bytes {
            return Err(text_limit(limits.text_bytes));
        }
    }
    if text.is_empty() { Ok(document) } else { Ok(Document { text, ..document }) }
}

fn reader(text: &str, delimiter: u8) -> ::csv::Reader<&[u8]> {
    ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text.as_bytes())
}

/// The delimiter that cuts the first rows into the most columns with the fewest exceptions.
fn delimiter(text: &str, hint: &Hint) -> u8 {
    let usual = match hint.extension().as_deref() {
        Some("tsv" | "tab") => b'\t',
        Some("psv") => b'|',
        _ => b',',
    };
    let mut best = (0.0, usual);
    for candidate in [usual, b',', b';', b'\t', b'|'] {
        let widths: Vec<usize> = reader(text, candidate)
            .into_records()
            .take(SAMPLE_ROWS)
            .map_while(Result::ok)
            .map(|record| record.len())
            .collect();
        let Some(&width) = widths.first().filter(|&&width| width > 1) else { continue };
        let regular = widths.iter().filter(|&&other| other == width).count();
        let share = regular as f64 / widths.len() as f64;
        // Regularity first: prose has commas too, but not the same number in every line.
        let score = share * share * (width as f64).sqrt();
        if score > best.0 {
            best = (score, candidate);
        }
    }
    best.1
}

/// Whether a row names columns: names are given, differ, and are not mostly numbers. A table of R
/// leaves the name of its first column empty.
fn is_header(row: &StringRecord) -> bool {
    let names: Vec<&str> = row.iter().map(str::trim).collect();
    let numbers = names.iter().filter(|name| name.parse::<f64>().is_ok()).count();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    names.len() > 1
        && sorted.len() == names.len()
        && names.iter().skip(1).all(|name| !name.is_empty())
        && numbers * 2 < names.len()
        && !names[0].starts_with('#')
}
