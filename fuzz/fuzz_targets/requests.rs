#![no_main]

use breezeway_wire::{Asked, ChatRequest, anthropic, ollama, openai, responses};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

/// Ask each kind of upstream what a client asked.
fn ask(chat: ChatRequest) {
    let _ = ollama::chat_request(chat.clone());
    let _ = anthropic::upstream::messages_request(chat, 4096);
}

fuzz_target!(|input: &[u8]| {
    let _ = Asked::of(input);
    let Ok(request) = serde_json::from_slice::<Map<String, Value>>(input) else { return };
    ask(ChatRequest::new(request.clone()));
    if let Ok(chat) = anthropic::chat_request(request.clone()) {
        ask(chat);
    }
    if let Ok(chat) = responses::chat_request(request.clone(), &[]) {
        ask(chat);
    }
    if let Ok(chat) = ollama::client::chat_of_chat(request.clone()) {
        ask(chat);
    }
    if let Ok(chat) = ollama::client::chat_of_generate(request.clone()) {
        ask(chat);
    }
    if let Ok((chat, _)) = openai::chat_of_completion(request.clone()) {
        ask(chat);
    }
    let _ = ollama::client::embed_request(request.clone());
    let _ = ollama::embed_request(request);
});
