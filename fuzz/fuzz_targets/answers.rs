#![no_main]

use breezeway_wire::{
    Tally, anthropic,
    ollama::{
        self,
        client::{Form, Told},
    },
    openai,
    responses::{self, Envelope},
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|input: &[u8]| {
    for kind in ["application/json", "text/event-stream", "application/x-ndjson"] {
        let mut tally = Tally::of(kind);
        tally.push(input);
        tally.end();
    }
    let Ok(answer) = serde_json::from_slice::<Map<String, Value>>(input) else { return };
    let told = Told { model: "m".into(), created_at: "2027-01-15T08:00:00Z".into() };
    let _ = anthropic::message(&answer, "m", "msg_1");
    let _ = anthropic::upstream::completion(&answer, 1);
    let _ = responses::response(&answer, &Envelope::new("resp_1", 1, &Map::new()));
    for form in [Form::Chat, Form::Generate] {
        let _ = ollama::client::answer(&answer, form, &told, 1);
    }
    let stamp = ollama::Stamp { id: "x".into(), created: 1, model: "m".into() };
    let _ = ollama::completion(&answer, &stamp);
    let _ = openai::frames_of(answer.clone());
    let _ = openai::text_completion(answer, None);
    let _ = openai::with_sources(input.to_vec().into(), &Value::from(1));
});
