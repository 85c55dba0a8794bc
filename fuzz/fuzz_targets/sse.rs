#![no_main]

mod cut;

use breezeway_wire::{Frame, sse};
use libfuzzer_sys::fuzz_target;

fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Frame> {
    let mut decoder = sse::Decoder::new(sse::MAX_FRAME_BYTES);
    let mut frames: Vec<Frame> =
        pieces.flat_map(|piece| decoder.push(piece).expect("it is shorter than a frame may be")).collect();
    frames.extend(decoder.finish());
    frames
}

fuzz_target!(|input: &[u8]| {
    let (bytes, pieces) = cut::cut(input);

    let whole = frames(std::iter::once(bytes));

    assert_eq!(frames(pieces), whole);
    let raw: Vec<u8> = whole.iter().flat_map(|frame| frame.raw.iter().copied()).collect();
    assert!(bytes.ends_with(&raw) || bytes.starts_with(&raw), "frames are the bytes that came");
});
