//! The lists: answered from the registry, or merged from what all connections say right now.

use std::{sync::Arc, time::Duration};

use breezeway_core::Principal;
use breezeway_registry::{Connection, ConnectionKind, Model, UpstreamError};
use breezeway_upstream::{RequestBody, answered, json_object, within};
use futures_util::future::join_all;
use http::Response;
use serde_json::{Map, Value, json};

use super::{
    Passthrough,
    body::{self, PassBody, json},
    converted,
    failure::Failure,
    forward::endpoint,
    name,
};

/// Longest wait for one connection's part of a list; the slower ones are left out.
const LIST_WAIT: Duration = Duration::from_secs(5);

impl Passthrough {
    /// The models the caller may use: of all connections from memory, of one as it says right now.
    pub(super) async fn tags(
        &self,
        principal: &Principal,
        index: Option<usize>,
    ) -> Result<Response<PassBody>, Failure> {
        let Some(index) = index else {
            let models = self.visible(principal);
            let others = self.others(principal);
            let others = others.iter().map(|model| match self.resolve(principal, model.id.as_str()) {
                // An alias for one of Ollama's.
                Ok(route) => tag(&route.model, model.id.as_str()),
                Err(_) => converted::tag(model),
            });
            let models: Vec<Value> =
                models.iter().map(|model| tag(model, model.id.as_str())).chain(others).collect();
            return Ok(json(200, &json!({ "models": models })));
        };
        let connection = self.connection(Some(index))?;
        let mut answer = self.whole(&connection, "/api/tags").await?;
        if let Some(Value::Array(models)) = answer.get_mut("models").filter(|_| sees_some(principal)) {
            models.retain(|model| {
                let id = model["model"].as_str().or(model["name"].as_str()).unwrap_or_default();
                self.resolve(principal, &connection.listed(id)).is_ok()
            });
        }
        Ok(json(200, &answer.into()))
    }

    /// The same in OpenAI's shape.
    pub(super) fn models(
        &self,
        principal: &Principal,
        index: Option<usize>,
    ) -> Result<Response<PassBody>, Failure> {
        if index.is_some() {
            self.connection(index)?;
        }
        let now = self.registry.clock().now().seconds();
        let mut models = self.visible(principal);
        if index.is_none() {
            models.extend(self.others(principal));
        }
        let here = models.iter().filter(|model| index.is_none_or(|index| urls(model).contains(&index)));
        let entry = |model: &Arc<Model>| json!({"id": model.id.as_str(), "object": "model", "created": now, "owned_by": "openai"});
        Ok(json(200, &json!({"data": here.map(entry).collect::<Vec<_>>(), "object": "list"})))
    }

    /// What is loaded right now.
    pub(super) async fn loaded(&self, index: Option<usize>) -> Result<Response<PassBody>, Failure> {
        let mut merged: Vec<Map<String, Value>> = Vec::new();
        for (connection, answer) in self.ask_all(index, "/api/ps").await? {
            // A connection that does not answer has nothing loaded that anybody could use.
            let Some(Value::Array(models)) = answer.ok().and_then(|mut answer| answer.remove("models"))
            else {
                continue;
            };
            for model in models {
                let Value::Object(mut model) = model else { continue };
                for field in ["name", "model"] {
                    if let Some(Value::String(name)) = model.get_mut(field) {
                        *name = connection.listed(name);
                    }
                }
                match merged.iter_mut().find(|known| known.get("model") == model.get("model")) {
                    Some(known) => {
                        if let Some(Value::Array(urls)) = known.get_mut("urls") {
                            urls.push(connection.index.into());
                        }
                    }
                    None => {
                        model.insert("urls".into(), json!([connection.index]));
                        merged.push(model);
                    }
                }
            }
        }
        Ok(json(200, &json!({ "models": merged })))
    }

    /// The lowest version: what all connections can be relied on to have.
    pub(super) async fn version(&self, index: Option<usize>) -> Result<Response<PassBody>, Failure> {
        if self.connections().is_empty() {
            return Ok(json(200, &json!({ "version": converted::VERSION })));
        }
        let mut lowest: Option<String> = None;
        let mut failure = None;
        for (_, answer) in self.ask_all(index, "/api/version").await? {
            match answer {
                Ok(answer) => {
                    let Some(version) = answer.get("version").and_then(Value::as_str) else { continue };
                    if lowest.as_ref().is_none_or(|lowest| numbers(version) < numbers(lowest)) {
                        lowest = Some(version.to_owned());
                    }
                }
                Err(error) => failure = Some(error),
            }
        }
        match lowest {
            Some(version) => Ok(json(200, &json!({ "version": version }))),
            None => {
                let none = || UpstreamError::Malformed("no `version`".to_owned());
                Err(failure.unwrap_or_else(none).into())
            }
        }
    }

    /// Take a model out of the memory of every connection that has it.
    pub(super) async fn unload(
        &self,
        principal: &Principal,
        body: RequestBody,
    ) -> Result<Response<PassBody>, Failure> {
        let body = body::whole(body, &self.config).await?;
        let model = self.resolve(principal, &name::find(&body, &["model", "name"])?.name)?.model;
        let asked = model.offers.iter().filter(|offer| offer.connection.enabled).map(|offer| async {
            // Ollama's own way: an empty question after which nothing is kept.
            let question = json!({"model": offer.entry.id, "prompt": "", "keep_alive": 0, "stream": false});
            let request = endpoint(&offer.connection)?.post_json("/api/generate", question.to_string())?;
            let answer = async { answered(self.client.send(request).await?).await };
            within(Some(LIST_WAIT), answer).await.map_err(Failure::from)
        });
        join_all(asked).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.registry.refresh(false).await;
        Ok(json(200, &true.into()))
    }

    /// The models of Ollama connections that the caller may use.
    fn visible(&self, principal: &Principal) -> Vec<Arc<Model>> {
        let models = self.registry.base_models();
        let here = models
            .iter()
            .filter(|model| model.offers.iter().any(|offer| offer.connection.kind == ConnectionKind::Ollama));
        here.filter_map(|model| {
            self.resolve(principal, model.id.as_str()).ok().filter(|route| route.model.id == model.id)
        })
        .map(|route| route.model)
        .collect()
    }

    /// The models the caller may use that no Ollama connection has under this name; aliases among them.
    fn others(&self, principal: &Principal) -> Vec<Arc<Model>> {
        if self.elsewhere.is_none() {
            return Vec::new();
        }
        let mut models = self.registry.models(principal);
        let is_listed = |model: &Model| {
            self.resolve(principal, model.id.as_str()).is_ok_and(|route| route.model.id == model.id)
        };
        models.retain(|model| !is_listed(model));
        models
    }

    /// Ask all enabled connections, or one, at the same time.
    async fn ask_all(
        &self,
        index: Option<usize>,
        path: &str,
    ) -> Result<Vec<(Arc<Connection>, Result<Map<String, Value>, UpstreamError>)>, Failure> {
        let connections = match index {
            Some(_) => vec![self.connection(index)?],
            None => self.connections().into_iter().filter(|connection| connection.enabled).collect(),
        };
        let asked = connections.into_iter().map(|connection| async move {
            let answer = match self.whole(&connection, path).await {
                Ok(answer) => Ok(answer),
                Err(Failure::Upstream(error)) => Err(error),
                Err(other) => Err(UpstreamError::Malformed(other.to_string())),
            };
            (connection, answer)
        });
        Ok(join_all(asked).await)
    }

    async fn whole(&self, connection: &Connection, path: &str) -> Result<Map<String, Value>, Failure> {
        let request = endpoint(connection)?.get(path)?;
        let body = within(Some(LIST_WAIT), async {
            let response = answered(self.client.send(request).await?).await?;
            self.client.whole(response.into_body()).await
        });
        Ok(json_object(&body.await?)?)
    }
}

/// Whether there can be models that the caller does not see.
fn sees_some(principal: &Principal) -> bool {
    !principal.is_admin() || principal.rules.as_ref().is_some_and(|rules| rules.models.is_some())
}

/// The connections that have a model, by their index.
fn urls(model: &Model) -> Vec<usize> {
    model.offers.iter().map(|offer| offer.connection.index).collect()
}

/// A model as `/api/tags` lists it under a name: Ollama's own words, and where it is.
fn tag(model: &Model, name: &str) -> Value {
    let Some(first) = model.offers.first() else { return Value::Null };
    let mut tag = first.entry.details.clone();
    tag.insert("name".into(), name.into());
    tag.insert("model".into(), name.into());
    let connection_type = first.connection.connection_type.as_deref().unwrap_or("local");
    tag.insert("connection_type".into(), connection_type.into());
    if !first.connection.tags.is_empty() {
        tag.insert("tags".into(), first.connection.tags.clone().into());
    }
    tag.insert("urls".into(), urls(model).into());
    let loaded_until = model.offers.iter().filter_map(|offer| offer.entry.loaded_until).max();
    if let Some(loaded_until) = loaded_until {
        tag.insert("expires_at".into(), loaded_until.into());
    }
    tag.into()
}

/// The numbers of a version, to compare.
fn numbers(version: &str) -> Vec<u64> {
    let release = version.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
    release.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(numbers("0.9.12") < numbers("0.12.3"));
        assert!(numbers("v0.12.3-rc1") == numbers("0.12.3"));
        assert!(numbers("") < numbers("0.1"));
    }
}
