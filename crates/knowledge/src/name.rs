//! Names of files as clients send them.
//!
//! A name is shown, searched and sent back; it is never used as a path. What makes it look like one
//! is taken off all the same, so that nobody downstream has to think about it.

/// What a file without a usable name is called.
const NAMELESS: &str = "file";

/// The longest name, in bytes: what the usual file systems allow.
const MAX_BYTES: usize = 255;

/// The longest ending that counts as an extension when a name is shortened.
const MAX_EXTENSION_BYTES: usize = 32;

/// The type of bytes about which nothing usable was said.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// The base name of what a client sent: without folders, control characters and surrounding space,
/// and short enough; `file` if nothing is left.
pub(crate) fn base_name(sent: &str) -> String {
    let last = sent.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|sign| !sign.is_control()).collect();
    let name = shorten(name.trim());
    if name.chars().all(|sign| sign == '.') { NAMELESS.to_owned() } else { name }
}

/// The extension in lower case without its dot; empty if there is none.
pub(crate) fn extension(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => extension.to_lowercase(),
        _ => String::new(),
    }
}

/// A media type that can be sent back as one.
pub(crate) fn media_type(sent: &str) -> String {
    let sent = sent.trim();
    let printable = sent.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let usable = !sent.is_empty() && sent.len() <= MAX_BYTES && printable;
    if usable { sent.to_owned() } else { UNKNOWN_TYPE.to_owned() }
}

fn shorten(name: &str) -> String {
    if name.len() <= MAX_BYTES {
        return name.to_owned();
    }
    let ending = name.rfind('.').map_or("", |dot| &name[dot..]);
    let ending = if ending.len() <= MAX_EXTENSION_BYTES { ending } else { "" };
    let stem = &name[..name.floor_char_boundary(MAX_BYTES - ending.len())];
    format!("{stem}{ending}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_loses_its_folders_and_nothing_else() {
        for (sent, expected) in [
            ("notes.txt", "notes.txt"),
            ("../../../etc/passwd", "passwd"),
            ("C:\\Users\\ada\\notes.txt", "notes.txt"),
            ("a/..\\b\0c\r\n.md", "bc.md"),
            ("größe 日本 📎.txt", "größe 日本 📎.txt"),
            (" spaced .txt ", "spaced .txt"),
            (".env", ".env"),
            ("", "file"),
            ("...", "file"),
            ("folder/", "file"),
            ("\u{7f}\n", "file"),
        ] {
            assert_eq!(base_name(sent), expected, "of {sent:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let long = format!("{}.pdf", "ü".repeat(200));

        let name = base_name(&long);

        assert_eq!(name, format!("{}.pdf", "ü".repeat(125)));
        assert_eq!(base_name(&"x".repeat(300)).len(), 255);
        assert_eq!(base_name(&format!("a.{}", "x".repeat(300))).len(), 255);
    }

    #[test]
    fn an_extension_is_what_follows_the_last_dot() {
        for (name, expected) in
            [("a.TXT", "txt"), ("a.tar.gz", "gz"), ("Makefile", ""), (".env", ""), ("a.", "")]
        {
            assert_eq!(extension(name), expected, "of `{name}`");
        }
    }

    #[test]
    fn a_media_type_is_one_line_of_ascii() {
        assert_eq!(media_type("text/plain; charset=utf-8"), "text/plain; charset=utf-8");
        for sent in ["", " ", "text/plain\r\nx: y", "tëxt/plain", &"x".repeat(256)] {
            assert_eq!(media_type(sent), UNKNOWN_TYPE, "of {sent:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_name_becomes_a_plain_one(sent in "(?s).{0,400}") {
            let name = base_name(&sent);

            prop_assert!(!name.is_empty() && name.len() <= 255);
            prop_assert!(!name.contains(['/', '\\']) && !name.chars().any(char::is_control));
            prop_assert!(!name.chars().all(|sign| sign == '.'));
            prop_assert_eq!(base_name(&name), name.clone());
        }
    }
}
