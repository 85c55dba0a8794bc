use super::*;
use crate::fixtures::{Stream, compound, pdf};

const PLAIN: &str = "From: Ada <ada@example.org>\r\nTo: bo@example.org, Cy <cy@example.org>\r\nSubject: =?utf-8?q?Tr=C3=A4ms?=\r\n\
    Date: Tue, 1 Oct 2024 12:34:56 +0000\r\nMIME-Version: 1.0\r\n";

fn mixed(parts: &[&str]) -> String {
    let parts: String = parts.iter().map(|part| format!("--B\r\n{part}\r\n")).collect();
    format!("{PLAIN}Content-Type: multipart/mixed; boundary=B\r\n\r\n{parts}--B--\r\n")
}

#[test]
fn a_mail_is_who_wrote_what_to_whom() {
    let mail = format!(
        "{PLAIN}Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nLine 4 is sp=E4t.\r\n"
    );

    for name in ["trams.eml", "trams.txt.eml", "trams"] {
        let document = read(name, mail.as_bytes()).expect("it has text").document;
        assert_eq!(
            document.text,
            "# Träms\n\nFrom: Ada <ada@example.org>\nTo: bo@example.org, Cy <cy@example.org>\nDate: 2024-10-01T12:34:56Z\n\nLine 4 is spät."
        );
        assert_eq!(document.metadata["title"], "Träms");
        assert_eq!(document.metadata["author"], "Ada <ada@example.org>");
    }
}

#[test]
fn attachments_are_read_like_files_and_pictures_in_the_text_are_not() {
    use base64::Engine as _;

    let town = base64::engine::general_purpose::STANDARD.encode(pdf(&["Bakers start at four"]));
    let mail = mixed(&[
        "Content-Type: text/html\r\n\r\n<p>See <b>below</b>.</p><p style='display:none'>secret</p>",
        &format!(
            "Content-Type: application/pdf; name=town.pdf\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n\r\n{town}"
        ),
        "Content-Type: image/png; name=logo.png\r\nContent-ID: <logo>\r\nContent-Disposition: inline\r\n\r\nxx",
        "Content-Type: message/rfc822\r\n\r\nFrom: Bo <bo@example.org>\r\nSubject: Boats\r\nDate: Tue, 1 Oct 2024 12:00:00 +0000\r\n\r\nNone today.",
    ]);

    let document = read("trams.eml", mail.as_bytes()).expect("it has text").document;

    assert!(
        document.text.contains("See below.\n\n[town.pdf]\n\nBakers start at four\n\n"),
        "{}",
        document.text
    );
    assert!(
        document
            .text
            .contains("# Boats\n\nFrom: Bo <bo@example.org>\nDate: 2024-10-01T12:00:00Z\n\nNone today."),
        "{}",
        document.text
    );
    assert!(!document.text.contains("secret"));
    assert_eq!(document.metadata["files"], 2);
    assert!(!document.metadata.contains_key("skipped_files"), "{:?}", document.metadata);
    let pages: Vec<_> = document.sections.iter().map(|part| part.page).collect();
    assert_eq!(pages, [None, Some(0), None]);
}

#[test]
fn mails_in_mails_end_at_the_nesting_limit() {
    let mut mail = format!("{PLAIN}\r\nThe innermost.");
    for _ in 0..10 {
        mail = format!(
            "{PLAIN}Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\nContent-Type: application/octet-stream; name=a.eml\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--B--\r\n",
            {
                use base64::Engine as _;
                base64::engine::general_purpose::STANDARD.encode(&mail)
            }
        );
    }

    let document = read("a.eml", mail.as_bytes()).expect("it has a header").document;

    assert_eq!(document.text.matches("# Träms").count(), 5);
    assert!(!document.text.contains("innermost"));
}

#[test]
fn a_list_of_settings_is_no_mail() {
    let text = "From: here\nTo: there\nSubject: none\n\nBody";

    assert_eq!(text_of("a.txt", text.as_bytes()), text);
    assert_eq!(text_of("a", text.as_bytes()), text);
}

fn utf16(text: &str) -> Option<Vec<u8>> {
    Some(text.encode_utf16().flat_map(u16::to_le_bytes).collect())
}

fn message<'a>(streams: &[Stream<'a>]) -> Vec<u8> {
    let mut fixed = vec![0; 32];
    fixed.extend_from_slice(&0x0039_0040_u32.to_le_bytes());
    fixed.extend_from_slice(&[6, 0, 0, 0]);
    fixed.extend_from_slice(&133_244_964_310_000_000_u64.to_le_bytes());
    let mut all: Vec<Stream<'a>> = vec![("__properties_version1.0", Some(fixed))];
    all.extend_from_slice(streams);
    compound(&all)
}

#[test]
fn an_outlook_message_is_read_with_its_attachments() {
    let file = message(&[
        ("__substg1.0_0037001F", utf16("Träms")),
        ("__substg1.0_0C1A001F", utf16("Ada")),
        ("__substg1.0_5D01001F", utf16("ada@example.org")),
        ("__substg1.0_0E04001E", Some(b"Bo\0".to_vec())),
        ("__substg1.0_1000001F", utf16("Line 4 is late.\r\n")),
        ("__attach_version1.0_#00000000", None),
        ("__attach_version1.0_#00000000/__substg1.0_3707001F", utf16("town.pdf")),
        ("__attach_version1.0_#00000000/__substg1.0_37010102", Some(pdf(&["Bakers start at four"]))),
        ("__attach_version1.0_#00000001", None),
        ("__attach_version1.0_#00000001/__substg1.0_3701000D", None),
        ("__attach_version1.0_#00000001/__substg1.0_3701000D/__substg1.0_0037001F", utf16("Boats")),
        ("__attach_version1.0_#00000001/__substg1.0_3701000D/__substg1.0_1000001F", utf16("None today.")),
    ]);

    let document = read("trams.msg", &file).expect("it has text").document;

    assert_eq!(
        document.text,
        "# Träms\n\nFrom: Ada <ada@example.org>\nTo: Bo\nDate: 2023-03-28T17:00:31Z\n\nLine 4 is late.\n\n\
        [town.pdf]\n\nBakers start at four\n\n[message]\n\n# Boats\n\nNone today."
    );
    assert_eq!(document.metadata["files"], 2);
}

#[test]
fn an_outlook_message_without_a_plain_text_is_read_from_its_page() {
    let file = message(&[
        ("__substg1.0_0037001F", utf16("Trams")),
        ("__substg1.0_10130102", Some(b"<html><body><p>Line <b>4</b> is late.</p></body></html>".to_vec())),
    ]);

    assert_eq!(text_of("a.msg", &file), "# Trams\n\nDate: 2023-03-28T17:00:31Z\n\nLine 4 is late.");
}
