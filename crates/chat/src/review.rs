//! An answer over sources, looked at on its way out: marks that name no source are told at its end, and
//! links to foreign hosts are made harmless where that is wanted.

use breezeway_wire::{Frame, openai};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    citation::Marks,
    stream::{LinkPolicy, Links},
};

/// Looks at one answer.
pub(crate) struct Review {
    /// `None` where more sources may come than are known now.
    marks: Option<Marks>,
    links: Option<Links>,
    /// What the frames that are added say about themselves.
    id: String,
    created: i64,
    model: String,
}

impl Review {
    /// A review of an answer over this many sources.
    pub(crate) fn new(sources: Option<usize>, links: Option<LinkPolicy>) -> Self {
        Self {
            marks: sources.map(Marks::new),
            links: links.map(Links::new),
            id: String::new(),
            created: 0,
            model: String::new(),
        }
    }

    /// Name the chunks that are added.
    #[must_use]
    pub(crate) fn named(self, id: &str, created: i64, model: &str) -> Self {
        Self { id: id.to_owned(), created, model: model.to_owned(), ..self }
    }

    /// What goes out instead of a frame.
    pub(crate) fn frame(&mut self, frame: Frame) -> Vec<Frame> {
        if frame.is_done() {
            let mut last = self.end();
            last.push(frame);
            return last;
        }
        // Most frames are deltas; what is no object says nothing.
        let Ok(mut event) = serde_json::from_slice::<Value>(&frame.data) else { return vec![frame] };
        let Some(choice) = event["choices"].get_mut(0).filter(|choice| choice["delta"].is_object()) else {
            return vec![frame];
        };
        let ends = choice["finish_reason"].is_string();
        let content = choice["delta"]["content"].as_str().unwrap_or_default().to_owned();
        if let Some(marks) = &mut self.marks {
            marks.read(&content);
        }
        let Some(links) = &mut self.links else { return vec![frame] };
        let mut said = links.pass(&content);
        if ends {
            said.push_str(&links.end());
        }
        if said == content {
            return vec![frame];
        }
        choice["delta"]["content"] = said.into();
        vec![Frame::json(&event)]
    }

    /// What is to be said when nothing more comes.
    pub(crate) fn end(&mut self) -> Vec<Frame> {
        let mut last = Vec::new();
        let held = self.links.as_mut().map(Links::end).unwrap_or_default();
        if !held.is_empty() {
            last.push(
                self.chunk(json!([{"index": 0, "delta": {"content": held}, "finish_reason": null}]), None),
            );
        }
        if let Some(citations) = self.citations() {
            last.push(self.chunk(json!([]), Some(citations)));
        }
        self.marks = None;
        last
    }

    fn citations(&self) -> Option<Value> {
        let unknown = self.marks.as_ref()?.unknown();
        (!unknown.is_empty()).then(|| json!({"unknown": unknown}))
    }

    fn chunk(&self, choices: Value, citations: Option<Value>) -> Frame {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        });
        if let Some(citations) = citations {
            chunk["citations"] = citations;
        }
        Frame::json(&chunk)
    }

    /// A whole answer as it goes out.
    pub(crate) fn whole(mut self, body: Bytes) -> Bytes {
        let Ok(mut answer) = serde_json::from_slice::<Value>(&body) else { return body };
        let content = answer["choices"][0]["message"]["content"].as_str().map(str::to_owned);
        let Some(content) = content else { return body };
        if let Some(marks) = &mut self.marks {
            marks.read(&content);
        }
        let mut body = body;
        if let Some(links) = &mut self.links {
            let said = links.pass(&content) + &links.end();
            if said != content {
                answer["choices"][0]["message"]["content"] = said.into();
                body = answer.to_string().into();
            }
        }
        match self.citations() {
            Some(citations) => openai::with_first(body, "citations", &citations),
            None => body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(text: &str) -> Frame {
        Frame::json(&json!({"choices": [{"index": 0, "delta": {"content": text}}]}))
    }

    fn text(frames: Vec<Frame>) -> String {
        frames.iter().map(|frame| String::from_utf8_lossy(&frame.data).into_owned() + "\n").collect()
    }

    #[test]
    fn a_stream_tells_unknown_marks_in_front_of_its_end() {
        let mut review = Review::new(Some(1), None).named("c", 7, "gpt");

        let mut frames = review.frame(delta("So it is [1]["));
        frames.extend(review.frame(delta("4].")));
        frames.extend(review.frame(Frame::done()));

        insta::assert_snapshot!(text(frames), @r#"
        {"choices":[{"index":0,"delta":{"content":"So it is [1]["}}]}
        {"choices":[{"index":0,"delta":{"content":"4]."}}]}
        {"id":"c","object":"chat.completion.chunk","created":7,"model":"gpt","choices":[],"citations":{"unknown":[4]}}
        [DONE]
        "#);
        assert!(review.end().is_empty(), "it is told once");
    }

    #[test]
    fn a_stream_of_sound_marks_passes_byte_for_byte() {
        let mut review = Review::new(Some(2), Some(LinkPolicy::default()));
        // A bracket at the very end would be held back: the address of a link may follow it.
        let frames =
            [delta("[1] and [2]."), Frame::json(&json!({"usage": {"total_tokens": 1}})), Frame::done()];

        let passed: Vec<Frame> = frames.iter().cloned().flat_map(|frame| review.frame(frame)).collect();

        assert_eq!(passed, frames);
    }

    #[test]
    fn links_are_made_harmless_across_frames() {
        let mut review = Review::new(None, Some(LinkPolicy::default())).named("c", 7, "gpt");

        let mut frames = review.frame(delta("![x](htt"));
        frames.extend(review.frame(delta("ps://evil.test/a)")));
        frames.extend(review.frame(delta(" http")));
        frames.extend(review.frame(Frame::done()));

        insta::assert_snapshot!(text(frames), @r#"
        {"choices":[{"index":0,"delta":{"content":"![x]("}}]}
        {"choices":[{"index":0,"delta":{"content":"hxxps://evil.test/a)"}}]}
        {"choices":[{"index":0,"delta":{"content":" "}}]}
        {"id":"c","object":"chat.completion.chunk","created":7,"model":"gpt","choices":[{"index":0,"delta":{"content":"http"},"finish_reason":null}]}
        [DONE]
        "#);
    }

    #[test]
    fn a_whole_answer_is_treated_alike() {
        let body = Bytes::from(r#"{"id":"x","choices":[{"message":{"content":"[9] https://evil.test/"}}]}"#);

        let reviewed = Review::new(Some(1), Some(LinkPolicy::default())).whole(body.clone());
        let untouched = Review::new(Some(9), None).whole(body.clone());

        insta::assert_snapshot!(String::from_utf8_lossy(&reviewed), @r#"{"citations":{"unknown":[9]},"id":"x","choices":[{"message":{"content":"[9] hxxps://evil.test/"}}]}"#);
        assert_eq!(untouched, body);
    }
}
