#![doc = include_str!("../README.md")]

mod departures;
mod docs;
mod error;
mod extract;
mod metered;
mod openapi;
mod router;
mod routes;
mod search;
mod sse;
mod state;
mod views;

pub use self::{
    departures::{DepartureParts, Departures},
    error::ApiError,
    metered::{SearchError, metered_search},
    router::{document, refuse_bad_credentials, router},
    routes::{configs::connection, health::COMPATIBLE_VERSION},
    search::SearchOptions,
    state::{
        ApiConfig, ApiParts, ApiState, Checkup, Connections, EmbeddingChange, EmbeddingView, Findings,
        Health, OwnEmbedding, RagConfig, RetrievalSettings, SignOn, ToolKeeper, ToolKeeperError, Tuning,
        TuningError, Web, WebPage,
    },
    views::{
        passages::metadata as passage_metadata,
        retrieval_config::{SettingRefusal, changed as changed_retrieval_settings, retrieval_config},
        tools::{BadToolServer, tool_server},
    },
};
