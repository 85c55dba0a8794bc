use proptest::prelude::*;

use super::*;

/// What `(event, data)` a stream has when it comes in one piece.
fn read(input: &str) -> Vec<(Option<String>, String)> {
    decode(&[input.as_bytes()])
        .into_iter()
        .map(|frame| (frame.event, String::from_utf8(frame.data.to_vec()).unwrap()))
        .collect()
}

fn decode(pieces: &[&[u8]]) -> Vec<Frame> {
    let mut decoder = Decoder::new(MAX_FRAME_BYTES);
    let mut frames = Vec::new();
    for piece in pieces {
        frames.extend(decoder.push(piece).unwrap());
    }
    frames.extend(decoder.finish());
    frames
}

fn check(input: &str, expected: &[(Option<&str>, &str)]) {
    let expected: Vec<_> =
        expected.iter().map(|(event, data)| (event.map(String::from), String::from(*data))).collect();
    assert_eq!(read(input), expected, "{input:?}");
}

#[test]
fn events_mean_what_the_standard_says() {
    check("data: a\n\ndata: b\n\n", &[(None, "a"), (None, "b")]);
    check("data:a\r\n\r\ndata:  b\r\r", &[(None, "a"), (None, " b")]);
    check("data: a\ndata: b\ndata\n\n", &[(None, "a\nb\n")]);
    check("event: x\ndata: {}\nid: 7\nretry: 10\n\n", &[(Some("x"), "{}")]);
    check("event: x\nevent: y\ndata: 1\n\n", &[(Some("y"), "1")]);
    check(": a comment\n\n", &[(None, "")]);
    check("\n\ndata: late\n\n", &[(None, ""), (None, ""), (None, "late")]);
    check("data : no\nDATA: no\n\n", &[(None, "")]);
    check("data: a: b\n\n", &[(None, "a: b")]);
    check("\u{feff}data: a\n\n\u{feff}data: b\n\n", &[(None, "a"), (None, "")]);
    check("\u{feff}\ndata: a\n\n", &[(None, ""), (None, "a")]);
}

#[test]
fn an_event_the_stream_did_not_end_is_handed_out() {
    check("data: a\n\ndata: {\"ha", &[(None, "a"), (None, "{\"ha")]);
    check("data: a\n", &[(None, "a")]);
    check("data: a\r\n\r", &[(None, "a")]);
    check("", &[]);
}

#[test]
fn bytes_that_are_no_text_are_kept() {
    let frames = decode(&[b"event: \xFF\ndata: \xFE\n\n"]);

    assert_eq!(frames[0].data.as_ref(), b"\xFE");
    assert_eq!(frames[0].event.as_deref(), Some("\u{fffd}"));
}

#[test]
fn an_event_comes_out_with_its_last_byte() {
    let mut decoder = Decoder::new(MAX_FRAME_BYTES);

    assert_eq!(decoder.push(b"data: a\n").unwrap(), []);
    assert_eq!(decoder.push(b"\n").unwrap().len(), 1);
    assert_eq!(decoder.push(b"data: a\r\n\r").unwrap(), []);
    assert_eq!(decoder.push(b"\n").unwrap()[0].raw.as_ref(), b"data: a\r\n\r\n");
}

#[test]
fn an_event_longer_than_agreed_is_refused_and_forgotten() {
    let mut decoder = Decoder::new(16);

    assert_eq!(decoder.push(b"data: 12345678\n\n").unwrap().len(), 1);
    assert_eq!(decoder.push(b"data: 123456789\n\n"), Err(TooLong { limit: 16 }));
    assert_eq!(decoder.push(b"data: 1\n\n"), Err(TooLong { limit: 16 }));
    assert_eq!(decoder.finish(), None);
}

#[test]
fn an_event_that_never_ends_is_refused() {
    let mut decoder = Decoder::new(1000);
    let endless = (0..).map(|_| decoder.push(&[b'x'; 100])).take(20).position(|pushed| pushed.is_err());

    assert_eq!(endless, Some(10));
}

/// Streams made of what matters to the decoder, so that line ends meet the cuts often.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"data: ".to_vec()),
        Just(b"event:".to_vec()),
        Just(b":".to_vec()),
        Just(b"\xEF\xBB\xBF".to_vec()),
        Just("zweiundf\u{fc}nfzig \u{1f980}".as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn where_the_bytes_are_split_changes_nothing(
        stream in streams(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&stream[from..cut]);
            from = cut;
        }
        pieces.push(&stream[from..]);
        let single: Vec<&[u8]> = stream.chunks(1).collect();

        let whole = decode(&[&stream]);

        prop_assert_eq!(&decode(&pieces), &whole);
        prop_assert_eq!(&decode(&single), &whole);
    }

    #[test]
    fn the_frames_joined_are_the_stream(stream in streams()) {
        let joined: Vec<u8> = decode(&[&stream]).iter().flat_map(|frame| frame.raw.to_vec()).collect();

        prop_assert_eq!(joined, stream);
    }
}
