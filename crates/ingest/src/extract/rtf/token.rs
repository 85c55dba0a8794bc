//! Cutting Rich Text into tokens.

/// A piece of Rich Text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `{`
    Open,
    /// `}`
    Close,
    /// `\*`: readers that do not know the next word pass the group over.
    Optional,
    /// A control word with its number, or a control symbol.
    Word(&'a str, Option<i32>),
    /// `\'hh`
    Byte(u8),
    /// Text as it stands, without line ends, which mean nothing.
    Text(&'a [u8]),
}

/// The tokens of a file.
pub(super) struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn control(&mut self) -> Option<Token<'a>> {
        let (&sign, after) = self.rest.split_first()?;
        if !sign.is_ascii_alphabetic() {
            self.rest = after;
            return Some(match sign {
                b'*' => Token::Optional,
                b'\'' => {
                    let digits = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
                    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
                    match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                        Some(byte) => {
                            self.rest = &after[2..];
                            Token::Byte(byte)
                        }
                        None => Token::Byte(b'?'),
                    }
                }
                b'{' | b'}' | b'\\' => Token::Byte(sign),
                b'\n' | b'\r' => Token::Word("par", None),
                b'~' => Token::Word("~", None),
                b'_' => Token::Word("_", None),
                _ => Token::Word("", None),
            });
        }
        let letters = self.rest.iter().take(40).take_while(|sign| sign.is_ascii_alphabetic()).count();
        let (word, after) = self.rest.split_at(letters);
        let minus = usize::from(after.first() == Some(&b'-'));
        let digits = after[minus..].iter().take(10).take_while(|sign| sign.is_ascii_digit()).count();
        let (number, after) = if digits > 0 { after.split_at(minus + digits) } else { (&after[..0], after) };
        self.rest = after.strip_prefix(b" ").unwrap_or(after);
        let word = std::str::from_utf8(word).unwrap_or_default();
        let number = std::str::from_utf8(number).ok().and_then(|number| number.parse::<i64>().ok());
        let number = number.map(|number| number.clamp(i32::MIN.into(), i32::MAX.into()) as i32);
        if word == "bin" {
            // So many bytes follow that are not Rich Text at all.
            let skip = usize::try_from(number.unwrap_or(0)).unwrap_or(0).min(self.rest.len());
            self.rest = &self.rest[skip..];
        }
        Some(Token::Word(word, number))
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let (&sign, after) = self.rest.split_first()?;
            match sign {
                b'{' => {
                    self.rest = after;
                    return Some(Token::Open);
                }
                b'}' => {
                    self.rest = after;
                    return Some(Token::Close);
                }
                b'\\' => {
                    self.rest = after;
                    return self.control();
                }
                b'\r' | b'\n' | 0 => self.rest = after,
                _ => {
                    let end = self.rest.iter().position(|sign| b"{}\\\r\n\0".contains(sign));
                    let (text, after) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                    self.rest = after;
                    return Some(Token::Text(text));
                }
            }
        }
    }
}
