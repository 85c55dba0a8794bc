//! Tables as Markdown.

/// Rows are filled up to as many columns as the widest has, but not to more than these: one row of
/// a million cells must not make every other one as long.
const FILLED: usize = 64;

/// Append `rows` as a pipe table; the first row is its head.
pub(super) fn write(rows: &[Vec<String>], out: &mut String) {
    let widest = rows.iter().map(Vec::len).max().unwrap_or(0).min(FILLED);
    for (number, row) in rows.iter().enumerate() {
        let width = row.len().max(widest);
        out.push('|');
        for column in 0..width {
            out.push(' ');
            cell(row.get(column).map_or("", String::as_str), out);
            out.push_str(" |");
        }
        out.push('\n');
        if number == 0 {
            out.push('|');
            out.push_str(&" --- |".repeat(width));
            out.push('\n');
        }
    }
}

/// The text of a cell on one line, with nothing that would end it.
fn cell(text: &str, out: &mut String) {
    for (number, word) in text.split_whitespace().enumerate() {
        if number > 0 {
            out.push(' ');
        }
        for sign in word.chars() {
            if sign == '|' {
                out.push('\\');
            }
            out.push(sign);
        }
    }
}
