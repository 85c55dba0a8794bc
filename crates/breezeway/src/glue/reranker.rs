//! A reranker behind an address, in the dialect that Cohere began and Jina, vLLM and others speak.

use async_trait::async_trait;
use breezeway_core::Secret;
use breezeway_retrieval::{RerankError, Reranker};
use breezeway_upstream::{HttpClient, full_body};
use http::{HeaderValue, Request, Uri, header};
use serde_json::{Value, json};

/// Where a reranker is.
#[derive(Clone, Debug)]
pub struct RerankerConfig {
    /// The whole address that is asked (`RAG_EXTERNAL_RERANKER_URL`), e.g. `https://host/v1/rerank`.
    pub url: String,
    /// Its key, if it wants one.
    pub key: Option<Secret>,
    /// What it calls the model; may be nothing.
    pub model: String,
}

/// Asks it.
pub(crate) struct RemoteReranker {
    url: Uri,
    key: Option<HeaderValue>,
    model: String,
    client: HttpClient,
}

impl RemoteReranker {
    /// A reranker at an address. Nothing is asked yet.
    ///
    /// # Errors
    /// With what is wrong with the address or the key.
    pub(crate) fn new(config: &RerankerConfig, client: HttpClient) -> Result<Self, String> {
        let url: Uri = config.url.parse().map_err(|_| "the address of the reranker is none".to_owned())?;
        if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none() {
            return Err("the address of the reranker begins with http:// or https://".to_owned());
        }
        let bearer = |key: &Secret| {
            let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose()))
                .map_err(|_| "the key of the reranker has signs that no header can have".to_owned())?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        };
        let key = config.key.as_ref().map(bearer).transpose()?;
        Ok(Self { url, key, model: config.model.clone(), client })
    }

    fn request(&self, question: &str, passages: &[&str]) -> Value {
        let mut body = json!({
            "query": question,
            "documents": passages,
            "top_n": passages.len(),
            "return_documents": false,
        });
        if !self.model.is_empty() {
            body["model"] = self.model.as_str().into();
        }
        body
    }
}

#[async_trait]
impl Reranker for RemoteReranker {
    fn name(&self) -> &str {
        if self.model.is_empty() { "reranker" } else { &self.model }
    }

    async fn rerank(&self, question: &str, passages: &[&str]) -> Result<Vec<f32>, RerankError> {
        let mut request = Request::post(self.url.clone()).header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, key);
        }
        let body = self.request(question, passages).to_string();
        let request = request.body(full_body(body)).map_err(|_| failed("cannot be asked"))?;
        let response = self.client.send(request).await.map_err(|_| failed("cannot be reached"))?;
        let status = response.status();
        if !status.is_success() {
            return Err(failed(&format!("answered with status {}", status.as_u16())));
        }
        let body = self.client.whole(response.into_body()).await.map_err(|_| failed("broke off"))?;
        let answer: Value = serde_json::from_slice(&body).map_err(|_| failed("answered with no JSON"))?;
        scores(&answer, passages.len()).ok_or_else(|| failed("did not score every passage"))
    }
}

/// Without its own words: it may repeat passages in them.
fn failed(what: &str) -> RerankError {
    RerankError(format!("the reranker {what}"))
}

/// One score for each passage, whatever the order of the answer.
fn scores(answer: &Value, passages: usize) -> Option<Vec<f32>> {
    let results = [&answer["results"], &answer["data"], answer].into_iter().find_map(Value::as_array)?;
    let mut scores = vec![None; passages];
    for result in results {
        let at = usize::try_from(result["index"].as_u64()?).ok()?;
        let score = result["relevance_score"].as_f64().or_else(|| result["score"].as_f64())?;
        *scores.get_mut(at)? = Some(score as f32);
    }
    scores.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_all_kinds_are_read_by_their_indexes() {
        let results = json!([{"index": 1, "relevance_score": 0.25}, {"index": 0, "relevance_score": 0.5}]);
        let plain = json!([{"index": 0, "score": 0.5}, {"index": 1, "score": 0.25}]);

        for answer in [json!({"results": results, "meta": {}}), json!({"data": results}), plain] {
            assert_eq!(scores(&answer, 2), Some(vec![0.5, 0.25]), "{answer}");
        }
    }

    #[test]
    fn an_answer_that_leaves_one_out_or_makes_one_up_is_none() {
        for answer in [
            json!({"results": [{"index": 0, "relevance_score": 0.5}]}),
            json!({"results": [{"index": 0, "score": 1}, {"index": 2, "score": 1}]}),
            json!({"results": [{"index": 0}, {"index": 1}]}),
            json!({"error": "busy"}),
        ] {
            assert_eq!(scores(&answer, 2), None, "{answer}");
        }
    }
}
