//! Tables as Markdown.

/// Append `rows` as a pipe table; the first row is its head. A table of one column is lines.
pub(super) fn write(rows: &[Vec<String>], out: &mut String) {
    let width = rows.iter().map(Vec::len).max().unwrap_or(0);
    for (number, row) in rows.iter().enumerate() {
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
