//! The embedding model in use: made from the configuration, or from what an admin has chosen since.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use breezeway_api::{EmbeddingChange, EmbeddingView, OwnEmbedding, TuningError};
use breezeway_auth::Sealer;
use breezeway_core::{Live, SettingsStore, StoreError};
use breezeway_embedding::{EmbeddingModel, Purpose};
use breezeway_ingest::Ingestor;
use breezeway_ollama::OllamaEmbedder;
use breezeway_registry::{ConnectionKind, Registry};
use breezeway_retrieval::Retriever;
use breezeway_upstream::{EmbedderConfig, HttpClient, OpenAiEmbedder};
use serde_json::{Map, Value, json};
use tokio::{sync::Mutex, time::timeout};

use crate::{
    Config, Embedding, LocalModelConfig, config::LOCAL_MODEL, lanes::Lanes, local_model::LocalModel,
};

/// The name under which a changed model is kept.
const SETTING: &str = "embedding";
/// How long a new model may take for its first vector, and the local one to be there.
const TRIAL: Duration = Duration::from_secs(30);
/// Texts of one request where no service says otherwise.
const LOCAL_BATCH: usize = 8;

/// What a service for embeddings is made from.
pub(crate) struct Workshop {
    pub(crate) client: HttpClient,
    pub(crate) lanes: Lanes,
    /// Prefixes and limits of services.
    pub(crate) service: EmbedderConfig,
    pub(crate) local: Option<LocalModelConfig>,
}

impl Workshop {
    pub(crate) fn new(config: &Config, client: &HttpClient, lanes: &Lanes) -> Self {
        let local = match &config.embedding {
            Embedding::Local(local) => Some(local.clone()),
            _ => config.local_model.clone(),
        };
        let service = match &config.embedding {
            Embedding::OpenAi(service) | Embedding::Ollama(service) => service.clone(),
            _ => config.embedding_service.clone(),
        };
        Self { client: client.clone(), lanes: lanes.clone(), service, local }
    }

    /// The model, unless it is the local one, which may have to be fetched first.
    pub(crate) fn model(
        &self,
        embedding: &Embedding,
    ) -> Result<Option<Arc<dyn EmbeddingModel>>, breezeway_registry::Error> {
        Ok(match embedding {
            Embedding::None | Embedding::Local(_) => None,
            Embedding::Model(model) => Some(model.clone()),
            Embedding::OpenAi(service) => {
                Some(Arc::new(OpenAiEmbedder::new(service.clone(), self.client.clone())?))
            }
            Embedding::Ollama(service) => {
                Some(Arc::new(OllamaEmbedder::new(service.clone(), self.client.clone())?))
            }
        })
    }

    pub(crate) fn local_model(&self, config: &LocalModelConfig) -> LocalModel {
        let (embed, fetch) = (self.lanes.embed.clone(), self.lanes.fetch.clone());
        LocalModel::new(config.clone(), self.client.clone(), embed, fetch)
    }

    /// The model kept earlier, if one was.
    pub(crate) async fn kept(
        &self,
        settings: &dyn SettingsStore,
        sealer: &Sealer,
    ) -> Result<Option<Embedding>, StoreError> {
        let Some(text) = settings.setting(SETTING).await? else { return Ok(None) };
        let kept: Option<Map<String, Value>> = serde_json::from_str(&text).ok();
        let read = kept.and_then(|kept| self.read(&kept, sealer));
        read.map(Some).ok_or_else(|| StoreError::Unreadable { what: "setting", value: SETTING.into() })
    }

    /// Keep a model again as it was read, so that its key is sealed under the current secret.
    pub(crate) async fn seal_anew(
        settings: &dyn SettingsStore,
        sealer: &Sealer,
        embedding: &Embedding,
    ) -> Result<(), StoreError> {
        let kept = write(embedding, sealer)
            .map_err(|error| StoreError::failed("seal a key for embeddings", error))?;
        settings.put_setting(SETTING, &kept.to_string()).await
    }

    fn read(&self, kept: &Map<String, Value>, sealer: &Sealer) -> Option<Embedding> {
        let text = |name: &str| kept.get(name).and_then(Value::as_str);
        let engine = text("engine")?;
        if engine.is_empty() {
            return Some(self.local.clone().map_or(Embedding::None, Embedding::Local));
        }
        let url = text("url")?;
        let key = match text("key") {
            Some(sealed) => Some(sealer.open(&owner(url), &STANDARD.decode(sealed).ok()?).ok()?),
            None => None,
        };
        let service = EmbedderConfig {
            url: url.to_owned(),
            key,
            model: text("model")?.to_owned(),
            batch: usize::try_from(kept.get("batch")?.as_u64()?).ok()?.max(1),
            dimensions: None,
            ..self.service.clone()
        };
        match engine {
            "openai" => Some(Embedding::OpenAi(service)),
            "ollama" => Some(Embedding::Ollama(service)),
            _ => None,
        }
    }
}

/// What a key's seal belongs to.
fn owner(url: &str) -> String {
    format!("embedding/{url}")
}

fn write(embedding: &Embedding, sealer: &Sealer) -> Result<Value, breezeway_auth::Error> {
    let (engine, model) = embedding.names();
    let mut kept = json!({"engine": engine, "model": model});
    if let Embedding::OpenAi(service) | Embedding::Ollama(service) = embedding {
        let seal = |key| sealer.seal(&owner(&service.url), key).map(|sealed| STANDARD.encode(sealed));
        kept["url"] = service.url.as_str().into();
        kept["batch"] = service.batch.into();
        kept["key"] = service.key.as_ref().map(seal).transpose()?.into();
    }
    Ok(kept)
}

/// Hands the model in use to those who use it.
pub(crate) struct Embedder {
    pub(crate) now: Live<Embedding>,
    /// What [`OwnEmbedding`] answers.
    pub(crate) own: Live<Option<OwnModel>>,
    /// Held by whoever changes the model.
    pub(crate) turn: Mutex<()>,
    pub(crate) workshop: Workshop,
    pub(crate) bypass: bool,
    pub(crate) settings: Arc<dyn SettingsStore>,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) registry: Registry,
    pub(crate) ingestor: Ingestor,
    pub(crate) retriever: Retriever,
    /// Why there are no vectors, if there are none.
    pub(crate) missing: Live<Option<String>>,
}

impl OwnEmbedding for Embedder {
    fn model(&self) -> Option<(String, Arc<dyn EmbeddingModel>)> {
        self.own.load().as_ref().clone()
    }
}

/// A model that runs here, under its name.
type OwnModel = (String, Arc<dyn EmbeddingModel>);

/// The model, unless it is a service's: that is asked with this server's key, which is not everybody's.
pub(crate) fn own_model(embedding: &Embedding, model: Option<&Arc<dyn EmbeddingModel>>) -> Option<OwnModel> {
    match embedding {
        Embedding::Local(_) | Embedding::Model(_) => Some((embedding.names().1, model?.clone())),
        Embedding::None | Embedding::OpenAi(_) | Embedding::Ollama(_) => None,
    }
}

impl Embedder {
    /// The local model, if it is the one in use.
    pub(crate) fn local(&self) -> Option<LocalModel> {
        match self.now.load().as_ref() {
            Embedding::Local(config) => Some(self.workshop.local_model(config)),
            _ => None,
        }
    }

    /// The local model has been brought; it is used unless another one has been chosen meanwhile.
    pub(crate) async fn arrive(
        &self,
        model: Arc<dyn EmbeddingModel>,
    ) -> Result<(), breezeway_retrieval::Error> {
        let _turn = self.turn.lock().await;
        match self.now.load().as_ref() {
            now @ Embedding::Local(_) => self.hand_over(now, model).await,
            _ => Ok(()),
        }
    }

    /// Note why the local model is not there, unless another one has been chosen meanwhile.
    pub(crate) fn is_missing(&self, note: String) {
        if matches!(self.now.load().as_ref(), Embedding::Local(_)) {
            self.missing.store(Some(note));
        }
    }

    async fn hand_over(
        &self,
        embedding: &Embedding,
        model: Arc<dyn EmbeddingModel>,
    ) -> Result<(), breezeway_retrieval::Error> {
        // The search first: it has to read the vectors there are, and until it has, it goes on as before.
        self.retriever.set_model(Some(model.clone())).await?;
        self.own.store(own_model(embedding, Some(&model)));
        self.ingestor.set_model(Some(model));
        self.missing.store(None);
        Ok(())
    }

    pub(crate) fn view(&self) -> EmbeddingView {
        let now = self.now.load();
        let (engine, model) = now.names();
        let first = |kind| self.registry.connections(kind).first().map(|known| known.url.clone());
        let mut view = EmbeddingView {
            engine: engine.to_owned(),
            model,
            batch: LOCAL_BATCH,
            openai_url: first(ConnectionKind::OpenAi).unwrap_or_default(),
            ollama_url: first(ConnectionKind::Ollama).unwrap_or_default(),
            key: None,
        };
        match now.as_ref() {
            Embedding::OpenAi(service) => {
                (view.batch, view.openai_url) = (service.batch, service.url.clone());
                view.key.clone_from(&service.key);
            }
            Embedding::Ollama(service) => {
                (view.batch, view.ollama_url) = (service.batch, service.url.clone());
                view.key.clone_from(&service.key);
            }
            Embedding::None | Embedding::Local(_) | Embedding::Model(_) => {}
        }
        view
    }

    /// Try another model, and go over to it if it embeds.
    pub(crate) async fn change(&self, change: EmbeddingChange) -> Result<(), TuningError> {
        if self.bypass {
            let why = "`BYPASS_EMBEDDING_AND_RETRIEVAL` is set: nothing is embedded.";
            return Err(TuningError::Invalid(why.into()));
        }
        let _turn = self.turn.lock().await;
        let embedding = self.wanted(change)?;
        let failed = |error: &dyn std::fmt::Display| TuningError::Embedding(error.to_string());
        let model = match &embedding {
            Embedding::Local(config) => {
                let local = self.workshop.local_model(config);
                let brought = timeout(TRIAL, local.bring()).await;
                let late = || TuningError::Embedding("it is not there yet, and takes long to fetch".into());
                brought.map_err(|_| late())?.map_err(|error| failed(&error))?
            }
            other => {
                let made = self.workshop.model(other).map_err(|error| failed(&error))?;
                made.ok_or_else(|| TuningError::Invalid("there is no such model".into()))?
            }
        };
        match timeout(TRIAL, model.embed(Purpose::Query, &["Is anyone there?"])).await {
            Ok(Ok(vectors)) if vectors.len() == 1 => {}
            Ok(Ok(_)) => {
                return Err(TuningError::Embedding("it answered one text with other than one vector".into()));
            }
            Ok(Err(error)) => return Err(failed(&error)),
            Err(_) => return Err(TuningError::Embedding("it did not answer in time".into())),
        }
        let kept = write(&embedding, &self.sealer)
            .map_err(|error| StoreError::failed("seal a key for embeddings", error))?;
        self.hand_over(&embedding, model)
            .await
            .map_err(|error| StoreError::failed("go over to an embedding model", error))?;
        self.now.store(embedding);
        self.settings.put_setting(SETTING, &kept.to_string()).await?;
        Ok(())
    }

    /// What is asked for, filled up with what is in force.
    fn wanted(&self, change: EmbeddingChange) -> Result<Embedding, TuningError> {
        let invalid = |why: &str| Err(TuningError::Invalid(why.to_owned()));
        if change.engine.is_empty() {
            let short = LOCAL_MODEL.rsplit('/').next().unwrap_or_default();
            if !change.model.is_empty() && change.model != LOCAL_MODEL && change.model != short {
                return invalid(&format!(
                    "`RAG_EMBEDDING_MODEL`: the local model is `{LOCAL_MODEL}`, and no other."
                ));
            }
            return match &self.workshop.local {
                Some(local) => Ok(Embedding::Local(local.clone())),
                None => invalid("`RAG_EMBEDDING_ENGINE`: this server has no local model."),
            };
        }
        if change.model.is_empty() {
            return invalid("`RAG_EMBEDDING_MODEL` must name a model of the embedding service.");
        }
        let now = self.now.load();
        let (kind, current) = match (change.engine.as_str(), now.as_ref()) {
            ("openai", Embedding::OpenAi(service)) => (ConnectionKind::OpenAi, Some(service)),
            ("openai", _) => (ConnectionKind::OpenAi, None),
            (_, Embedding::Ollama(service)) => (ConnectionKind::Ollama, Some(service)),
            _ => (ConnectionKind::Ollama, None),
        };
        let connections = self.registry.connections(kind);
        let url = change
            .url
            .or_else(|| current.map(|service| service.url.clone()))
            .or_else(|| connections.first().map(|known| known.url.clone()));
        let Some(url) = url else { return invalid("The address of the embedding service is missing.") };
        // A key goes to the address it was given for and to no other.
        let known = current.filter(|service| service.url == url).and_then(|service| service.key.clone());
        let of_connection =
            || connections.iter().find(|known| known.url == url).and_then(|known| known.key.clone());
        let service = EmbedderConfig {
            key: change.key.or(known).or_else(of_connection),
            url,
            model: change.model,
            batch: change
                .batch
                .or(current.map(|service| service.batch))
                .unwrap_or(self.workshop.service.batch),
            dimensions: None,
            ..self.workshop.service.clone()
        };
        Ok(match kind {
            ConnectionKind::OpenAi => Embedding::OpenAi(service),
            ConnectionKind::Ollama => Embedding::Ollama(service),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workshop() -> (Workshop, Sealer) {
        let config = Config::at("unused", "secret");
        let lanes = Lanes::start(config.lanes);
        let sealer = Sealer::new(&config.auth.secret, &[]).unwrap();
        (Workshop::new(&config, &HttpClient::default(), &lanes), sealer)
    }

    #[test]
    fn a_service_is_kept_with_its_key_sealed_and_reads_back() {
        let (workshop, sealer) = workshop();
        let mut service = EmbedderConfig::new("http://127.0.0.1:1/v1", "small");
        service.key = Some("sk-very-secret".into());
        service.batch = 7;

        let kept = write(&Embedding::OpenAi(service), &sealer).unwrap();
        let read = workshop.read(kept.as_object().unwrap(), &sealer);

        assert!(!kept.to_string().contains("very-secret"));
        let Some(Embedding::OpenAi(read)) = read else { panic!("another engine") };
        assert_eq!(
            (read.url.as_str(), read.model.as_str(), read.batch),
            ("http://127.0.0.1:1/v1", "small", 7)
        );
        assert_eq!(read.key, Some("sk-very-secret".into()));
    }

    #[test]
    fn a_key_moved_to_another_address_does_not_open() {
        let (workshop, sealer) = workshop();
        let mut service = EmbedderConfig::new("http://127.0.0.1:1", "small");
        service.key = Some("sk-very-secret".into());
        let mut kept = write(&Embedding::Ollama(service), &sealer).unwrap();

        kept["url"] = "http://127.0.0.1:2".into();

        assert!(workshop.read(kept.as_object().unwrap(), &sealer).is_none());
    }
}
