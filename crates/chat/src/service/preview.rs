//! What a model would be sent, and how its answer is looked at.

use breezeway_wire::{ChatRequest, openai};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::ChatRouter;
use crate::{Source, citation::sources_json, prompt, review::Review};

impl ChatRouter {
    /// The messages that a chat of this one question over these sources would be sent on with, under
    /// the settings in force and without what a custom model adds.
    pub fn preview(&self, question: &str, sources: &[Source]) -> Value {
        let mut fields = Map::new();
        fields.insert("messages".into(), json!([{"role": "user", "content": question}]));
        let mut request = ChatRequest::new(fields);
        if !sources.is_empty() {
            let config = self.config.load();
            prompt::augment(&mut request, sources, &config.rag_template, config.rag_in_system);
        }
        request.messages().into()
    }

    /// How an answer over these sources is looked at; `None` where there are none. More of them may come
    /// where only links are to be looked at.
    pub(super) fn review(&self, sources: Option<&[Source]>) -> Option<Review> {
        let links = self.config.load().links.clone();
        match sources {
            Some([]) => None,
            Some(sources) => Some(Review::new(Some(prompt::ids_of(sources)), links)),
            None => links.map(|links| Review::new(None, Some(links))),
        }
    }

    /// A whole answer with its sources in front.
    pub(super) fn with_sources(&self, body: Bytes, sources: &[Source]) -> Bytes {
        match self.review(Some(sources)) {
            Some(review) => openai::with_sources(review.whole(body), &sources_json(sources)),
            None => body,
        }
    }
}
