//! Compressed Rich Text, [MS-OXRTFCP]: a window of 4 KiB that begins with what every file has.

/// What the window holds before the first byte.
const DICTIONARY: &[u8] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

const WINDOW: usize = 4096;

/// Unpack, `None` if it is damaged at once. What comes before a later damage is kept.
pub(super) fn unpack(bytes: &[u8], most: u64) -> Option<Vec<u8>> {
    let word = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk::<4>()?));
    let (size, kind) = (word(4)?, word(8)?);
    let most = usize::try_from(u64::from(size).min(most)).ok()?;
    let body = bytes.get(16..)?;
    match &kind.to_le_bytes() {
        b"MELA" => Some(body[..body.len().min(most)].to_vec()),
        b"LZFu" => Some(inflate(body, most)),
        _ => None,
    }
}

fn inflate(body: &[u8], most: usize) -> Vec<u8> {
    let mut window = [b' '; WINDOW];
    window[..DICTIONARY.len()].copy_from_slice(DICTIONARY);
    let mut at = DICTIONARY.len();
    let mut out = Vec::new();
    let mut rest = body.iter().copied();
    while let Some(control) = rest.next() {
        for bit in 0..8 {
            if out.len() >= most {
                return out;
            }
            if control & (1 << bit) == 0 {
                let Some(byte) = rest.next() else { return out };
                out.push(byte);
                window[at] = byte;
                at = (at + 1) % WINDOW;
                continue;
            }
            let (Some(high), Some(low)) = (rest.next(), rest.next()) else { return out };
            let token = u16::from_be_bytes([high, low]);
            let (offset, length) = (usize::from(token >> 4), usize::from(token & 0xF) + 2);
            // A reference to the place being written marks the end.
            if offset == at {
                return out;
            }
            for step in 0..length {
                let byte = window[(offset + step) % WINDOW];
                out.push(byte);
                window[at] = byte;
                at = (at + 1) % WINDOW;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_is_unpacked() {
        // [MS-OXRTFCP] 3.1.1.
        let packed = [
            0x2d, 0x00, 0x00, 0x00, 0x2b, 0x00, 0x00, 0x00, 0x4c, 0x5a, 0x46, 0x75, 0xf1, 0xc5, 0xc7, 0xa7,
            0x03, 0x00, 0x0a, 0x00, 0x72, 0x63, 0x70, 0x67, 0x31, 0x32, 0x35, 0x42, 0x32, 0x0a, 0xf3, 0x20,
            0x68, 0x65, 0x6c, 0x09, 0x00, 0x20, 0x62, 0x77, 0x05, 0xb0, 0x6c, 0x64, 0x7d, 0x0a, 0x80, 0x0f,
            0xa0,
        ];

        let unpacked = unpack(&packed, 1000).expect("it is whole");

        assert_eq!(String::from_utf8_lossy(&unpacked), "{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n");
    }
}
