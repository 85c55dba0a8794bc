use proptest::prelude::*;

use super::*;
use crate::testing;

fn spliced(body: &str) -> String {
    let body = with_sources(Bytes::copy_from_slice(body.as_bytes()), &json!([{"document": ["d"]}]));
    String::from_utf8(body.to_vec()).unwrap()
}

#[test]
fn sources_come_first_and_the_rest_keeps_its_bytes() {
    let body = " {\n \"id\" : 1.50, \"id\":2, \"a\":\"\\u00e9\" }\n";

    assert_eq!(
        spliced(body),
        "{\"sources\":[{\"document\":[\"d\"]}],\n \"id\" : 1.50, \"id\":2, \"a\":\"\\u00e9\" }\n"
    );
    assert_eq!(spliced("{}"), "{\"sources\":[{\"document\":[\"d\"]}]}");
}

#[test]
fn sources_of_the_upstream_give_way() {
    let body = r#"{"id":1.50,"sources":["x"],"a\n":{"sources":2 }}"#;

    assert_eq!(spliced(body), r#"{"sources":[{"document":["d"]}],"id":1.50,"a\n":{"sources":2 }}"#);
}

#[test]
fn what_is_no_object_is_left_alone() {
    for body in ["", "[]", "[{}]", "null", "{", "{} {}", "<html>", "{\"a\":}"] {
        assert_eq!(spliced(body), body);
    }
}

#[test]
fn the_sources_event_is_a_chunk_with_no_choice() {
    let frame = sources_frame("chatcmpl-1", 7, "m", &json!([1]));

    assert_eq!(
        &frame.raw[..],
        b"data: {\"sources\":[1],\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":7,\
          \"model\":\"m\",\"choices\":[]}\n\n"
    );
}

#[test]
fn a_broken_stream_ends_in_an_error_event_of_its_own() {
    let mut decoder = crate::sse::Decoder::new(1000);

    let mut frames = decoder.push(b"data: {\"half").unwrap();
    frames.extend(decoder.push(&error_event("it \"broke\"")).unwrap());

    let error = frames.iter().find_map(|frame| frame.chunk()).unwrap();
    assert_eq!(error_message(&error), Some("it \"broke\""));
    assert!(frames.last().unwrap().is_done());
}

#[test]
fn an_error_in_place_of_an_answer_is_told_in_the_stream() {
    let frames = frames_of(json!({"error": {"message": "no", "code": 7}}).as_object().unwrap().clone());

    assert_eq!(&frames[0].raw[..], b"data: {\"error\":{\"message\":\"no\",\"code\":7}}\n\n");
    assert!(frames[1].is_done());
}

#[test]
fn errors_are_read_in_every_usual_shape() {
    let check = |chunk: Value, expected| {
        assert_eq!(error_message(chunk.as_object().unwrap()), expected, "{chunk}");
    };

    check(json!({"error": {"message": "no"}}), Some("no"));
    check(json!({"error": "no"}), Some("no"));
    check(json!({"error": 5}), Some("the upstream reported an error"));
    check(json!({"error": null, "choices": []}), None);
    check(json!({"choices": []}), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_object_gains_sources_and_keeps_its_fields(value in testing::objects()) {
        let body = Bytes::from(Value::Object(value.clone()).to_string());

        let with: Map<String, Value> = serde_json::from_slice(&with_sources(body, &json!([1]))).unwrap();

        prop_assert_eq!(with.keys().next().map(String::as_str), Some("sources"));
        for (name, field) in &value {
            prop_assert_eq!(&with[name], field);
        }
    }

    #[test]
    fn any_bytes_pass_the_splice(body in proptest::collection::vec(any::<u8>(), 0..40)) {
        let body = Bytes::from(body);
        let object = serde_json::from_slice::<Map<String, Value>>(&body).is_ok();

        prop_assert_eq!(with_sources(body.clone(), &json!([])) == body, !object);
    }

    #[test]
    fn any_object_can_be_told_as_frames(value in testing::objects()) {
        let frames = frames_of(value);

        prop_assert!(frames.last().is_some_and(Frame::is_done));
    }
}
