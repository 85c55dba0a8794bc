#![no_main]

mod cut;

use breezeway_wire::ndjson;
use libfuzzer_sys::fuzz_target;

fn lines<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<(Vec<u8>, Option<serde_json::Value>)> {
    let mut decoder = ndjson::Decoder::new(ndjson::MAX_FRAME_BYTES);
    let mut lines: Vec<_> =
        pieces.flat_map(|piece| decoder.push(piece).expect("it is shorter than a line may be")).collect();
    lines.extend(decoder.finish());
    lines.iter().map(|line| (line.raw.to_vec(), line.json().ok())).collect()
}

fuzz_target!(|input: &[u8]| {
    let (bytes, pieces) = cut::cut(input);

    let whole = lines(std::iter::once(bytes));

    assert_eq!(lines(pieces), whole);
    let raw: Vec<u8> = whole.into_iter().flat_map(|(raw, _)| raw).collect();
    assert_eq!(raw, bytes);
});
