//! Answers that are looked for among the kept ones first.

use breezeway_core::Principal;
use breezeway_registry::Route;
use breezeway_usage::Operation;
use breezeway_wire::ChatRequest;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Answer, ChatRouter, Noted, model_of};
use crate::{
    CacheUse, Freshness, Result, Source,
    cache::{Cache, Kept, Key, holds_error, is_deterministic, recorded},
};

impl ChatRouter {
    /// As [`ChatRouter::embed`], but a kept answer will do if `freshness` says so.
    pub async fn embed_noting(
        &self,
        principal: &Principal,
        mut request: Map<String, Value>,
        freshness: Freshness,
    ) -> Result<Noted<Bytes>> {
        let route = self.registry.resolve(principal, model_of(&request)?)?;
        let place = self.place(principal, Operation::Embedding, &route, &request, freshness);
        if let Some((cache, key)) = &place
            && let Some(Kept::Whole(answer)) = cache.get(key)
        {
            self.metered.kept(principal, &route, Operation::Embedding).await?;
            return Ok(Noted { answer, cache: Some(CacheUse::Hit) });
        }
        request.insert("model".into(), route.upstream_model.as_str().into());
        let answer = self.metered.embeddings(principal, &route, request).await?;
        let Some((cache, key)) = place else { return Ok(Noted { answer, cache: None }) };
        keep_whole(cache, key, &answer);
        Ok(Noted { answer, cache: Some(CacheUse::Miss) })
    }

    /// Answer a finished request, from what is kept if that will do.
    pub(super) async fn answer_noting(
        &self,
        principal: &Principal,
        route: &Route,
        conversation: Option<&str>,
        request: ChatRequest,
        sources: &[Source],
        freshness: Freshness,
    ) -> Result<Noted<Answer>> {
        let keeps = sources.is_empty() && is_deterministic(request.as_map());
        let freshness = if keeps { freshness } else { Freshness::NoStore };
        let Some((cache, key)) = self.place(principal, Operation::Chat, route, request.as_map(), freshness)
        else {
            let answer = self.answer(principal, route, conversation, request, sources).await?;
            return Ok(Noted { answer, cache: None });
        };
        if let Some(kept) = cache.get(&key) {
            self.metered.kept(principal, route, Operation::Chat).await?;
            return Ok(Noted { answer: kept.into_answer(), cache: Some(CacheUse::Hit) });
        }
        let answer = match self.answer(principal, route, conversation, request, sources).await? {
            Answer::Whole(body) => {
                keep_whole(cache, key, &body);
                Answer::Whole(body)
            }
            Answer::Stream(frames) => Answer::Stream(recorded(frames, cache.clone(), key)),
        };
        Ok(Noted { answer, cache: Some(CacheUse::Miss) })
    }

    /// Where an answer would be kept; `None` if it is not to be.
    fn place(
        &self,
        principal: &Principal,
        operation: Operation,
        route: &Route,
        request: &Map<String, Value>,
        freshness: Freshness,
    ) -> Option<(&Cache, Key)> {
        let cache = self.cache.as_ref().filter(|_| freshness == Freshness::Any)?;
        Some((cache, Key::new(principal, operation, route, request)))
    }
}

/// Some upstreams say with status 200 that something went wrong; that is not worth keeping.
fn keep_whole(cache: &Cache, key: Key, body: &Bytes) {
    if !holds_error(body) {
        cache.put(key, Kept::Whole(Bytes::copy_from_slice(body)));
    }
}
